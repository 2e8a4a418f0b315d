"""The engine openai with a server that fails in every way: nothing is lost, asked twice, overpaid or disclosed."""

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
from scripts.engines.engine_openai import CONTROL
from scripts.engines.generation import asker, loader
from scripts.engines.ledger import spent
from scripts.tables.row_store import SetAside

KEY = "sk-very-secret-0123456789"
SAMPLING = {"max_new_tokens": 200, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 1, "options": {}}
API = {"concurrency": 4, "timeout_s": 1, "retries": 2, "budget_usd": None, "prices": {}, "set_aside_refused": False}


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
    given = spec(server, api, **sampling)
    return engine_openai.load(given)(rows, given["sampling"])


def test_results_are_in_the_order_of_the_rows_with_several_threads(server):
    prompts = [f"slow {i}" for i in range(40)]
    answers = ask(server, prompts)
    assert [a["text"] for a in answers] == [prompt[::-1] for prompt in prompts]
    assert {(a["finish_reason"], a["n_tokens"], a["reason"]) for a in answers} == {("stop", 100, None)}
    assert 1 < server.most_busy <= API["concurrency"]


def test_with_a_new_address_of_the_server_no_row_is_asked_again(server, tmp_path):
    rows, other = [{"id": "1", "instruction": "Hello"}], FaultServer()
    given = spec(server) | {"engine": "openai", "chat_template": None}
    api = given.pop("api")
    first = asker(given, tmp_path, loader(given, api))(rows)
    moved = given | {"openai": given["openai"] | {"base_url": other.url, "api_key_env": None}}
    assert asker(moved, tmp_path, loader(moved, api))(rows) == first
    assert (len(server.bodies), len(other.bodies)) == (1, 0)
    moved |= {"model": "n"}
    assert asker(moved, tmp_path, loader(moved, api))(rows) == first
    assert (len(server.bodies), len(other.bodies)) == (1, 1)
    other.server_close()


def test_the_request_has_the_values_of_the_config(server):
    ask(server, ["Hello"], temperature=0.5, top_p=0.9, options={"top_k": 7})
    seed = server.bodies[0].pop("seed")
    expected = {"model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 200, "top_k": 7}
    assert server.bodies[0] == expected | {"messages": [{"role": "user", "content": "Hello"}]}
    ask(server, ["Hello", "Other"], temperature=0.5)
    assert server.bodies[1]["seed"] == seed or server.bodies[2]["seed"] == seed  # the same row, the same seed
    assert server.bodies[1]["seed"] != server.bodies[2]["seed"]


@pytest.mark.fault(17)
@pytest.mark.parametrize("fault", ["busy", "broken", "hang", "reset"])
def test_a_temporary_fault_is_retried_until_it_is_over(server, fault):
    (answer,) = ask(server, [f"{fault},{fault} x"])
    assert answer["text"] == f"{fault},{fault} x"[::-1]
    assert server.asked[f"{fault},{fault} x"] == 3


def test_the_client_waits_as_long_as_retry_after_says(server):
    start = time.monotonic()
    ask(server, ["busy x"])
    assert time.monotonic() - start >= 1


@pytest.mark.fault(17)
@pytest.mark.parametrize("fault", ["busy", "broken", "reset", "garbage", "torn", "hollow"])
def test_a_row_with_a_lasting_fault_fails_and_the_other_rows_are_answered(server, fault):
    failed, answer = ask(server, [f"{','.join([fault] * 9)} x", "Fine"])
    assert isinstance(failed, Exception) and answer["text"] == "eniF"
    assert ("is not a chat completion" in str(failed)) == (fault in ("garbage", "torn", "hollow"))


@pytest.mark.fault(10)
@pytest.mark.fault(11)
@pytest.mark.parametrize(
    "prompt, reason, text",
    [("long x", "prompt_over_long", None), ("filtered x", "content_filter", None), ("empty x", "empty", None)],
)
def test_a_row_that_can_never_be_answered_has_a_reason(server, prompt, reason, text):
    (answer,) = ask(server, [prompt])
    answer = answer.result if isinstance(answer, SetAside) else answer
    assert (answer["reason"], answer["text"]) == (reason, text)


@pytest.mark.fault(9)
def test_a_cut_answer_has_the_finish_reason_length(server):
    (answer,) = ask(server, ["cut x"])
    assert (answer["text"], answer["finish_reason"], answer["reason"]) == ("and so o", "length", None)


@pytest.mark.parametrize("fault", ["denied", "unknown", "quota"])
def test_an_endpoint_that_refuses_every_request_gets_no_further_request(server, fault):
    server.always = fault
    answers = ask(server, [f"row {i}" for i in range(30)], {"concurrency": 1})
    assert all(isinstance(answer, Exception) for answer in answers)
    assert server.asked == {"row 0": 1, CONTROL["instruction"]: 1}  # a lasting error is not retried either


def test_an_endpoint_that_fails_for_row_after_row_gets_no_further_request(server):
    server.always = "broken"
    assert all(isinstance(answer, Exception) for answer in ask(server, [f"row {i}" for i in range(60)]))
    assert len(server.asked) <= API["concurrency"] + 1


@pytest.mark.fault(17)
def test_the_budget_is_never_exceeded_and_includes_what_other_jobs_spent(server):
    prices = {"m": {"input": 1000, "output": 10_000}}  # an answer costs 1.01 dollars; at most it could cost 2.11
    prompts = [f"Prompt {i}" for i in range(10)]
    answers = ask(server, prompts, {"budget_usd": 5.3, "prices": prices, "concurrency": 1})
    done = [answer for answer in answers if not isinstance(answer, Exception)]
    assert len(done) == len(server.bodies) == 4
    assert "budget_usd 5.3" in str(answers[-1])
    assert [answer["usd"] for answer in done] == [pytest.approx(1.01)] * 4
    assert spent(Path(server.ledger)) == pytest.approx(4 * 1.01)
    again = ask(server, prompts[4:], {"budget_usd": 5.3, "prices": prices})
    assert all(isinstance(answer, Exception) for answer in again) and len(server.bodies) == 4


def test_jobs_that_spend_at_the_same_time_lose_no_dollar_and_stay_within_the_budget(tmp_path):
    code = "import sys; from pathlib import Path; from scripts.engines.ledger import book; "
    code += "print(sum(book(Path(sys.argv[1]), 0.25, 60.0) for _ in range(100)))"
    command = [sys.executable, "-c", code, tmp_path / "spent_usd.txt"]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(job.communicate()[0]) for job in jobs) == 240
    assert spent(tmp_path / "spent_usd.txt") == 60.0


def test_a_key_whose_variable_is_not_set_is_an_error_before_any_request(server, tmp_path):
    wanted = spec(server) | {"engine": "openai", "chat_template": None}
    wanted["openai"]["api_key_env"] = "NOT_THERE"
    api = wanted.pop("api")
    with pytest.raises(SystemExit, match="m: the environment variable NOT_THERE is not set"):
        asker(wanted, tmp_path, loader(wanted, api))([{"id": "1", "instruction": "Hello"}])
    assert not server.bodies


def run_script(server, folder, prompts):
    """Run the script in a new process and return the finished process."""
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
def test_the_next_run_asks_only_the_failed_rows_again(server, tmp_path):
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
def test_the_key_is_neither_printed_nor_stored(server, tmp_path):
    done = run_script(server, tmp_path, ["denied,denied x"])
    assert "AuthenticationError" in done.stdout and KEY not in done.stdout
    run_script(server, tmp_path, ["denied,denied x"])
    assert run_script(server, tmp_path, ["denied,denied x"]).returncode == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
