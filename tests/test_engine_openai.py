"""The engine openai, against a server that fails in every way: nothing is lost, asked twice, overpaid or told."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from fault_server import FaultServer
from scripts.engines import engine_openai
from scripts.engines.generation import asker
from scripts.engines.ledger import spent

KEY = "sk-very-secret-0123456789"
SAMPLING = {"max_new_tokens": 200, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 1, "options": {}}
API = {"concurrency": 4, "timeout_s": 1, "retries": 2, "budget_usd": None, "prices": {}}


@pytest.fixture
def server(tmp_path):
    server = FaultServer()
    server.ledger = str(tmp_path / "spent_usd.txt")
    yield server
    server.shutdown()
    server.server_close()


def spec(server, api=(), **sampling):
    os.environ["TEST_KEY"] = KEY
    endpoint = {"base_url": server.url, "api_key_env": "TEST_KEY", "max_tokens_name": "max_tokens"}
    return {
        "model": "m",
        "openai": endpoint,
        "sampling": SAMPLING | sampling,
        "api": API | {"ledger": server.ledger} | dict(api),
    }


def ask(server, prompts, api=(), **sampling):
    rows = [{"id": str(i), "instruction": prompt, "candidate": 0} for i, prompt in enumerate(prompts)]
    return engine_openai.load(spec(server, api, **sampling))(rows)


def test_answers_come_in_the_order_of_the_rows_whatever_the_threads(server):
    prompts = [f"slow {i}" for i in range(40)]
    answers = ask(server, prompts)
    assert [a["text"] for a in answers] == [prompt[::-1] for prompt in prompts]
    assert {(a["finish_reason"], a["n_tokens"], a["reason"]) for a in answers} == {("stop", 100, None)}
    assert 1 < server.most_busy <= API["concurrency"]


def test_a_server_with_another_address_is_asked_nothing_again(server, tmp_path):
    rows, other = [{"id": "1", "instruction": "Hello"}], FaultServer()
    given = spec(server) | {"engine": "openai", "chat_template": None}
    api = given.pop("api")
    first = asker(given, tmp_path, api)(rows)
    moved = given | {"openai": given["openai"] | {"base_url": other.url, "api_key_env": None}}
    assert asker(moved, tmp_path, api)(rows) == first
    assert (len(server.bodies), len(other.bodies)) == (1, 0)
    assert asker(moved | {"model": "n"}, tmp_path, api)(rows) == first
    assert (len(server.bodies), len(other.bodies)) == (1, 1)
    other.server_close()


def test_what_is_asked_is_what_the_config_says(server):
    ask(server, ["Hello"], temperature=0.5, top_p=0.9, options={"top_k": 7})
    seed = server.bodies[0].pop("seed")
    expected = {"model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 200, "top_k": 7}
    assert server.bodies[0] == expected | {"messages": [{"role": "user", "content": "Hello"}]}
    ask(server, ["Hello", "Other"], temperature=0.5)
    assert server.bodies[1]["seed"] == seed or server.bodies[2]["seed"] == seed  # the same row, the same seed
    assert server.bodies[1]["seed"] != server.bodies[2]["seed"]


@pytest.mark.fault(17)
@pytest.mark.parametrize("fault", ["busy", "broken", "hang", "reset"])
def test_a_fault_that_passes_is_waited_out(server, fault):
    (answer,) = ask(server, [f"{fault},{fault} x"])
    assert answer["text"] == f"{fault},{fault} x"[::-1]
    assert server.asked[f"{fault},{fault} x"] == 3


def test_retry_after_is_waited_for(server):
    start = time.monotonic()
    ask(server, ["busy x"])
    assert time.monotonic() - start >= 1


@pytest.mark.fault(17)
@pytest.mark.parametrize("fault", ["busy", "broken", "reset", "garbage", "torn", "hollow"])
def test_a_fault_that_lasts_is_no_answer_and_harms_no_other_row(server, fault):
    failed, answer = ask(server, [f"{','.join([fault] * 9)} x", "Fine"])
    assert isinstance(failed, Exception) and answer["text"] == "eniF"
    assert ("no chat completion" in str(failed)) == (fault in ("garbage", "torn", "hollow"))


@pytest.mark.fault(10)
@pytest.mark.fault(11)
@pytest.mark.parametrize(
    "prompt, reason, text",
    [("long x", "prompt_over_long", None), ("filtered x", "content_filter", None), ("empty x", "empty", None)],
)
def test_an_answer_that_will_never_come_has_a_reason(server, prompt, reason, text):
    (answer,) = ask(server, [prompt])
    assert (answer["reason"], answer["text"]) == (reason, text)


@pytest.mark.fault(9)
def test_a_cut_answer_says_so(server):
    (answer,) = ask(server, ["cut x"])
    assert (answer["text"], answer["finish_reason"], answer["reason"]) == ("and so o", "length", None)


@pytest.mark.parametrize("fault", ["denied", "unknown", "quota"])
def test_an_endpoint_that_refuses_everyone_is_not_asked_again(server, fault):
    faults = ",".join([fault] * 9)
    answers = ask(server, [f"{faults} x", *(f"{faults} {i}" for i in range(30))], {"concurrency": 1})
    assert all(isinstance(answer, Exception) for answer in answers)
    assert set(server.asked) == {f"{faults} x"}


def test_an_endpoint_that_fails_row_after_row_is_given_up(server):
    prompts = [f"broken,broken,broken {i}" for i in range(60)]
    assert all(isinstance(answer, Exception) for answer in ask(server, prompts))
    assert len(server.asked) < 20


@pytest.mark.fault(17)
def test_the_budget_is_never_exceeded_and_counts_what_other_jobs_paid(server):
    prices = {"m": {"input": 1000, "output": 10_000}}  # an answer costs 1.01 dollars, at most 2.11 were asked for
    prompts = [f"Prompt {i}" for i in range(10)]
    answers = ask(server, prompts, {"budget_usd": 5.3, "prices": prices, "concurrency": 1})
    done = [answer for answer in answers if not isinstance(answer, Exception)]
    assert len(done) == len(server.bodies) == 4
    assert "budget_usd 5.3" in str(answers[-1])
    assert [answer["usd"] for answer in done] == [pytest.approx(1.01)] * 4
    assert spent(Path(server.ledger)) == pytest.approx(4 * 1.01)
    again = ask(server, prompts[4:], {"budget_usd": 5.3, "prices": prices})
    assert all(isinstance(answer, Exception) for answer in again) and len(server.bodies) == 4


def test_jobs_that_spend_at_once_lose_no_dollar_and_overspend_none(tmp_path):
    code = "import sys; from pathlib import Path; from scripts.engines.ledger import book; "
    code += "print(sum(book(Path(sys.argv[1]), 0.25, 60.0) for _ in range(100)))"
    command = [sys.executable, "-c", code, tmp_path / "spent_usd.txt"]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(job.communicate()[0]) for job in jobs) == 240
    assert spent(tmp_path / "spent_usd.txt") == 60.0


def test_the_variable_of_the_key_has_to_be_set(server):
    wanted = spec(server)
    wanted["openai"]["api_key_env"] = "NOT_THERE"
    with pytest.raises(SystemExit, match="environment variable NOT_THERE holds no key"):
        engine_openai.load(wanted)


def run_script(server, folder, prompts):
    """The script itself, in a process of its own; its output and what it printed."""
    instructions = pl.DataFrame({"id": [str(i) for i in range(len(prompts))], "instruction": prompts})
    instructions.write_parquet(folder / "instructions.parquet")
    wanted = spec(server)
    names = {"engine": "openai", "revision": None, "chat_template": None, "trust_remote_code": False}
    arguments = {
        "--teacher": "t",
        "--model": json.dumps(names | {key: wanted[key] for key in ("model", "openai")}),
        "--sampling": json.dumps(wanted["sampling"]),
        "--candidates": "1",
        "--api": json.dumps(wanted["api"]),
        "--instructions": folder / "instructions.parquet",
        "--store": folder / "rows",
        "--output": folder / "responses.parquet",
    }
    command = [
        sys.executable,
        "-m",
        "scripts.responses.generate_responses",
        *(str(x) for kv in arguments.items() for x in kv),
    ]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.fault(17)
def test_failed_rows_are_asked_again_in_the_next_run_and_answered_ones_are_not(server, tmp_path):
    prompts = ["Good", "broken,broken,broken x", "Fine", "denied y"]
    first = run_script(server, tmp_path, prompts)
    assert first.returncode and "of 4 rows failed; the next run repeats only these" in first.stdout
    assert not (tmp_path / "responses.parquet").exists()
    second = run_script(server, tmp_path, prompts)
    assert second.returncode == 0, second.stdout
    responses = pl.read_parquet(tmp_path / "responses.parquet")
    assert responses["response"].to_list() == [prompt[::-1] for prompt in prompts]
    assert server.asked["Good"] == 1 and server.asked["broken,broken,broken x"] >= 3
    assert "Traceback" not in first.stdout


@pytest.mark.fault(25)
def test_the_key_is_nowhere_in_what_is_printed_or_stored(server, tmp_path):
    done = run_script(server, tmp_path, ["denied,denied x"])
    assert "AuthenticationError" in done.stdout and KEY not in done.stdout
    run_script(server, tmp_path, ["denied,denied x"])
    assert run_script(server, tmp_path, ["denied,denied x"]).returncode == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
