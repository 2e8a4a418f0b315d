"""The Batch API: the same rows, results and reasons as with single requests, at half the price, paid once."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from batch_server import BatchServer
from endpoint_behaviours import ASIDE, FAILED, STORED, completion, error
from scripts.configuration.config_engines import price_share
from scripts.engines import batches
from scripts.engines.generation import answer_instructions, asker, key_of_rows, loader
from scripts.engines.ledger import spent
from scripts.responses import generate_responses
from test_judge_pairs import judge

SAMPLING = {"max_new_tokens": 200, "temperature": None, "top_p": None, "seed": 0, "options": {"k": 7}}
API = {"concurrency": 2, "timeout_s": 30, "retries": 1, "budget_usd": None, "prices": {}, "set_aside_refused": False}
PRICES = {"m": {"input": 1_000_000, "output": 1_000_000}}  # a dollar per token; completions have 10 + 5
PROMPTS = ["one", "two", "odd", "three", "four"]


@pytest.fixture
def server():
    server = BatchServer()
    yield server
    server.shutdown()
    server.server_close()


def spec_of(server, batch=True):
    endpoint = {"base_url": server.url, "api_key_env": None, "max_tokens_name": "max_tokens", "batch": batch}
    return {"engine": "openai", "model": "m", "openai": endpoint, "chat_template": None, "sampling": SAMPLING}


def run(server, folder, prompts=PROMPTS, **api):
    """Results of the prompts and no message, or None and the message of the job, which failed."""
    spec = spec_of(server)
    settings = API | {"poll_s": 0.01, "ledger": str(folder / "spent_usd.txt")} | api
    ask = asker(spec, folder / "rows", loader(spec, settings))
    try:
        return ask([{"id": str(i), "instruction": prompt} for i, prompt in enumerate(prompts)]), None
    except SystemExit as problem:
        return None, str(problem)


def stored(folder):
    frames = [pl.read_parquet(path) for path in (folder / "rows").rglob("*.parquet")]
    return sorted(row["reason"] or row["text"] for frame in frames for row in frame.iter_rows(named=True))


def answers(*but):
    return sorted(prompt[::-1] for prompt in PROMPTS if prompt not in but)


def test_rows_are_answered_in_one_batch_and_stored_as_those_of_single_requests(server, tmp_path, capsys):
    results, _ = run(server, tmp_path)
    assert [(row["text"], row["n_tokens"], row["n_prompt_tokens"]) for row in results] == [
        (prompt[::-1], 5, 10) for prompt in PROMPTS
    ]
    (batch,) = server.batches.values()
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
    assert {(line["method"], line["url"]) for line in batch["lines"]} == {("POST", "/v1/chat/completions")}
    body = {"model": "m", "max_tokens": 200, "k": 7, "messages": [{"role": "user", "content": "one"}]}
    assert batch["lines"][0]["body"] == body and server.asked["direct"] == 0
    assert key_of_rows(spec_of(server)) == key_of_rows(spec_of(server, batch=False))
    again, _ = run(server, tmp_path)
    assert again == results and len(server.batches) == 1
    assert "batch batch_0: completed, 5 of 5 rows answered, 0 failed" in capsys.readouterr().out


REPLIES = {name: (STORED | ASIDE | FAILED)[name] for name in [
    "a filtered answer", "in parts", "half a character", "too long, OpenAI", "filtered, DeepSeek", "an unknown refusal",
    "max_tokens beyond the context, vLLM", "thinking used the budget", "finish_reason error", "broken",
]}  # fmt: skip


@pytest.mark.parametrize("name", REPLIES)
def test_a_row_has_the_same_result_as_with_a_single_request(server, tmp_path, name):
    reply, outcome, expected, _ = REPLIES[name]
    server.reply = lambda prompt: reply if prompt == "odd" else completion(prompt[::-1])
    results, message = run(server, tmp_path)
    assert stored(tmp_path) == sorted([*answers("odd"), *([expected] if outcome == "stored" else [])])
    if outcome == "failed":
        assert message.startswith("1 of 5 rows failed; the next run repeats only these: 1 x ") and expected in message
    else:
        assert (results[2]["reason"] or results[2]["text"]) == expected
    later, message = run(server, tmp_path)
    if outcome != "stored":
        assert [len(batch["lines"]) for batch in server.batches.values()] == [5, 1]
    assert (message is None) == (outcome != "failed") and later == results
    assert server.asked["direct"] == (outcome == "aside" or "refused" in str(message) or name in ALONE)


ALONE = ("an unknown refusal", "max_tokens beyond the context, vLLM", "thinking used the budget")


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_a_batch_that_did_not_finish_gives_the_rows_that_it_has_and_the_next_run_asks_the_others(
    server, tmp_path, status
):
    server.status = status
    server.reply = lambda prompt: {"odd": None, "two": "no line"}.get(prompt, completion(prompt[::-1]))
    _, message = run(server, tmp_path, prices=PRICES)
    assert f"2 of 5 rows failed; the next run repeats only these: 1 x batch batch_0 is {status} and has no" in message
    assert "1 x no answer in the batch: This request could not be executed in time." in message
    assert stored(tmp_path) == answers("odd", "two") and spent(tmp_path / "spent_usd.txt") == 3 * 15 / 2
    server.status, server.reply = "completed", lambda prompt: completion(prompt[::-1])
    results, _ = run(server, tmp_path, prices=PRICES)
    assert [row["text"] for row in results] == [prompt[::-1] for prompt in PROMPTS]
    assert [len(batch["lines"]) for batch in server.batches.values()] == [5, 2]
    assert spent(tmp_path / "spent_usd.txt") == 5 * 15 / 2


def test_a_batch_that_is_not_accepted_says_why_and_costs_nothing(server, tmp_path):
    server.status = "failed"
    _, message = run(server, tmp_path, prices=PRICES)
    assert "5 x batch batch_0 was not accepted: token_limit_exceeded: Enqueued token limit reached" in message
    assert spent(tmp_path / "spent_usd.txt") == 0 and not list(tmp_path.rglob("batch-*"))
    server.status = "completed"
    assert run(server, tmp_path)[1] is None


def test_refused_rows_are_set_aside_if_the_configuration_says_so_also_alone_in_a_batch(server, tmp_path):
    server.reply = lambda prompt: error("We cannot serve this.") if prompt == "odd" else completion(prompt[::-1])
    for _ in range(2):
        results, message = run(server, tmp_path, set_aside_refused=True)
        assert message is None and results[2]["reason"] == "refused"
    assert [len(batch["lines"]) for batch in server.batches.values()] == [5, 1]


def test_batches_have_at_most_the_requests_and_bytes_that_the_endpoint_takes(server, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "LARGEST", 4)
    run(server, tmp_path / "a", [f"row {i}" for i in range(10)])
    assert [len(batch["lines"]) for batch in server.batches.values()] == [4, 4, 2]
    monkeypatch.setattr(batches, "MOST_BYTES", 1000)
    results, _ = run(server, tmp_path / "b", ["x" * 900, "y" * 100, "z" * 100])
    assert [len(batch["lines"]) for batch in list(server.batches.values())[3:]] == [1, 2]
    assert [row["text"] for row in results] == ["x" * 900, "y" * 100, "z" * 100]


def test_half_the_price_is_booked_and_the_budget_holds_before_a_batch_is_sent(server, tmp_path):
    assert price_share(spec_of(server)) == 0.5 and price_share(spec_of(server, batch=False)) == 1
    results, _ = run(server, tmp_path, prices=PRICES)
    assert [row["usd"] for row in results] == [15 / 2] * 5 and spent(tmp_path / "spent_usd.txt") == 5 * 15 / 2
    most = (3 + 100 + 200) / 2  # of a row with three bytes
    _, message = run(server, tmp_path / "b", prices=PRICES, budget_usd=2 * most + 1)
    assert "3 of 5 rows failed; the next run repeats only these: 3 x budget_usd" in message
    assert [len(batch["lines"]) for batch in server.batches.values()] == [5, 2]
    assert spent(tmp_path / "b" / "spent_usd.txt") == 2 * 15 / 2


def test_an_endpoint_that_cannot_be_reached_for_a_while_loses_no_batch(server, tmp_path, capsys):
    server.looks = 5
    server.faults["GET /v1/batches"] = [200, 500, 500, 200]  # one look fails, after the client's own second try
    results, message = run(server, tmp_path)
    assert message is None and len(results) == 5 and len(server.batches) == 1
    printed = [line.partition("batch batch_0: ")[2] for line in capsys.readouterr().out.splitlines()]
    waiting = "in_progress, 0 of 5 rows answered, 0 failed"
    ended = "completed, 5 of 5 rows answered, 0 failed"
    assert [line for line in printed if line] == [
        "5 rows sent",
        waiting,
        "InternalServerError (500): oops",
        waiting,
        ended,
    ]


def test_a_batch_that_cannot_be_read_in_this_run_is_read_in_the_next_one(server, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.engines.batch_replies.PATIENCE", 1)
    server.faults["GET /v1/batches"] = [500, 500]
    _, message = run(server, tmp_path)
    assert message.startswith("5 of 5 rows failed; the next run repeats only these: 5 x batch batch_0 Internal")
    results, _ = run(server, tmp_path)
    assert len(results) == 5 and len(server.batches) == 1


def test_a_batch_that_is_gone_is_sent_again(server, tmp_path):
    run(server, tmp_path)
    for path in (tmp_path / "rows").rglob("*.parquet"):
        path.unlink()
    server.batches["batch_0"]["output_file_id"] = "deleted"
    _, message = run(server, tmp_path)
    assert "5 x batch batch_0 NotFoundError (404)" in message
    assert len(run(server, tmp_path)[0]) == 5 and len(server.batches) == 2


def test_a_batch_at_another_address_is_named_before_its_rows_are_paid_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.engines.batch_replies.PATIENCE", 1)
    server.faults["GET /v1/batches"] = [500, 500]
    run(server, tmp_path)
    server.url, address = server.url.replace("127.0.0.1", "localhost"), server.url
    _, message = run(server, tmp_path)
    assert f"a batch with these rows is at {address}: set this base_url until" in message and len(server.batches) == 1


def test_an_endpoint_without_a_batch_api_is_named(server, tmp_path):
    server.faults["POST /v1/files"] = [404]
    _, message = run(server, tmp_path, prices=PRICES)
    assert "no batch was created: NotFoundError (404): oops; without a Batch API, remove openai.batch" in message
    assert spent(tmp_path / "spent_usd.txt") == 0 and not list(tmp_path.rglob("batch-*"))


def test_all_candidates_of_a_pool_are_asked_in_one_batch(server, tmp_path):
    spec = spec_of(server)
    instructions = pl.DataFrame({"id": ["1", "2"], "instruction": ["one", "two"]})
    settings = API | {"poll_s": 0.01, "ledger": str(tmp_path / "spent_usd.txt")}
    responses = answer_instructions(instructions, spec, tmp_path, loader(spec, settings), candidates=3)
    assert responses["text"].to_list() == ["eno"] * 3 + ["owt"] * 3
    assert responses["candidate"].to_list() == [0, 1, 2] * 2 and len(server.batches) == 1


def script(server, folder):
    """The arguments of a teacher's job."""
    pl.DataFrame({"id": [str(i) for i in range(5)], "instruction": PROMPTS}).write_parquet(folder / "i.parquet")
    model = {"engine": "openai", "model": "m", "openai": {"base_url": server.url, "api_key_env": None, "batch": True}}
    api = {"prices": PRICES, "ledger": str(folder / "spent_usd.txt"), "poll_s": 0.05, "retries": 0}
    arguments = {"teacher": "t", "model": json.dumps(model), "api": json.dumps(api), "candidates": 1}
    arguments |= {"instructions": folder / "i.parquet", "store": folder / "rows", "output": folder / "out.parquet"}
    arguments |= {"sampling": json.dumps({"max_new_tokens": 200})}
    options = [str(part) for name, value in arguments.items() for part in (f"--{name}", value)]
    return [generate_responses.__name__, *options]


@pytest.mark.fault(1)
@pytest.mark.parametrize("where", ["between creation and note", "while it waits"])
def test_a_job_that_was_killed_waits_for_the_same_batch_and_pays_once(server, tmp_path, where, monkeypatch, capsys):
    server.looks = 10**9
    server.pauses = {"POST /v1/batches": 60} if where == "between creation and note" else {}
    job = subprocess.Popen([sys.executable, "-m", *script(server, tmp_path)], stdout=subprocess.DEVNULL)
    wanted = "POST /v1/batches" if where == "between creation and note" else "GET /v1/batches"
    while not server.requests[wanted]:
        assert job.poll() is None
        time.sleep(0.05)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert spent(tmp_path / "spent_usd.txt") > 5 * 15  # the highest cost of a batch counts while it runs
    server.looks, server.pauses = 1, {}
    monkeypatch.setattr("sys.argv", script(server, tmp_path))
    generate_responses.main()
    assert ("batch of the last run: batch_0" in capsys.readouterr().out) == (where == "between creation and note")
    assert pl.read_parquet(tmp_path / "out.parquet")["response"].to_list() == [prompt[::-1] for prompt in PROMPTS]
    assert len(server.batches) == 1 and spent(tmp_path / "spent_usd.txt") == 5 * 15 / 2


def test_what_was_reserved_for_a_batch_that_was_not_created_is_given_back(server, tmp_path):
    server.faults["POST /v1/files"] = [500, 500]
    _, message = run(server, tmp_path, prices=PRICES)
    assert "5 x no batch was created: InternalServerError (500): oops" in message
    assert len(run(server, tmp_path, prices=PRICES)[0]) == 5
    assert len(server.batches) == 1 and spent(tmp_path / "spent_usd.txt") == 5 * 15 / 2


def judge_in_batches(server, folder, *options, reply, status=0):
    server.reply = reply
    endpoint = {"base_url": server.url, "api_key_env": None, "batch": True}
    given = ["--judge", json.dumps({"engine": "openai", "model": "m", "openai": endpoint})]
    given += ["--api", json.dumps({"poll_s": 0.01, "prices": PRICES, "ledger": str(folder / "spent_usd.txt")})]
    questions = [("q0", "longer", "short"), ("q1", "short", "longer"), ("q2", "", "same")]
    questions += [(f"q{i}", "longer", "short") for i in range(3, 9)]
    return judge(server, folder, "label", questions, status, *given, *options, pairs=("x/t", "x/u"))


def name_longer(prompt):
    first, second = re.search(r"1: (.*)\n2: (.*)", prompt).groups()
    return completion("A" if len(first) > len(second) else "B")


def test_a_judge_compares_all_pairs_at_once_one_batch_for_each(server, tmp_path):
    server.looks = 5
    judgments, printed = judge_in_batches(server, tmp_path, reply=name_longer)
    assert sorted(len(batch["lines"]) for batch in server.batches.values()) == [18, 18]
    assert server.most_open == 2
    verdicts = judgments.group_by("id", maintain_order=True).agg("text", "switched")
    expected = {True: "A", False: "B"}  # the place of the longer answer, which is the model's
    assert all(text == [expected[s] for s in switched] for _, text, switched in verdicts.rows() if _ not in "12")
    assert judgments["usd"].sum() == 18 * 15 / 2 and "$135.00" in printed


def test_a_judge_that_cannot_be_read_is_reported_after_its_batch(server, tmp_path):
    _, printed = judge_in_batches(server, tmp_path, reply=lambda prompt: completion("hm"), status=1)
    assert "the first 8 outputs of the judge cannot be read, for example 'hm'" in printed
