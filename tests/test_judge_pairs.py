"""A language model as judge, with a server that prefers longer answers and fails on request.

No result is lost and no request is paid twice.
"""

import json
import os
import subprocess
import sys

import polars as pl
import pytest

from conftest import ROOT
from fault_server import FaultServer
from judge_server import Judge
from scripts.engines.ledger import spent
from scripts.judgments.judge_templates import fill_template, read_template
from scripts.judgments.pairwise_verdicts import switched

TEMPLATE = "<|im_start|>user\nQ: {instruction}\n1: {output_1}\n2: {output_2}\n<|im_end|>\n"
KEY = "sk-judge-secret-42"
API = {
    "concurrency": 4,
    "timeout_s": 1,
    "retries": 1,
    "budget_usd": None,
    "prices": {"m": {"input": 1000, "output": 5000}},
}


@pytest.fixture
def server():
    server = FaultServer(Judge)
    yield server
    server.shutdown()
    server.server_close()


def judge(server, folder, protocol, questions, status=0, sampling='{"max_new_tokens": 900}'):
    """Run the script on rows of (instruction, model's answer, baseline's answer): its judgments and printed text."""
    folder.mkdir(exist_ok=True)
    ids = [str(i) for i in range(len(questions))]
    frame = pl.DataFrame(questions, schema=["instruction", "answer", "baseline"], orient="row").with_columns(
        id=pl.Series(ids)
    )
    frame.select("id", "instruction").write_parquet(folder / "prompts.parquet")
    names = {"benchmark": pl.lit("b"), "base": pl.lit("x"), "teacher": pl.lit("t"), "finish_reason": pl.lit("stop")}
    reason = pl.when(pl.col("answer").is_null()).then(pl.lit("empty")).alias("reason")
    # the answers are in another order than the prompts
    frame.select("id", "answer", reason, n_tokens=pl.lit(777), **names).reverse().write_parquet(
        folder / "answers.parquet"
    )
    frame.select("id", answer="baseline", reason=pl.lit(None, pl.String)).write_parquet(folder / "baseline.parquet")
    (folder / "template.txt").write_text(TEMPLATE)
    endpoint = {"base_url": server.url, "api_key_env": "JUDGE_KEY", "max_tokens_name": "max_tokens"}
    names = {"revision": None, "chat_template": None, "trust_remote_code": False}
    arguments = {
        "protocol": protocol,
        "judge": json.dumps({"engine": "openai", "model": "m", "openai": endpoint, **names}),
        "sampling": sampling,  # max_new_tokens is ignored by alpaca_eval, which always takes one token
        "api": json.dumps(API | {"ledger": str(folder / "spent_usd.txt")}),
        "store": folder / "rows",
        "output": folder / "judgments.parquet",
        **{name: folder / f"{name}.parquet" for name in ("prompts", "answers", "baseline")},
        "template": folder / "template.txt",
    }
    command = [sys.executable, "-m", "scripts.judgments.judge_pairs"]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    environment = os.environ | {"JUDGE_KEY": KEY}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert done.returncode == status, done.stdout
    assert KEY not in done.stdout and "Traceback" not in done.stdout
    return pl.read_parquet(folder / "judgments.parquet") if status == 0 else None, done.stdout


def score(folder, protocol, status=0):
    """Run the protocol's scoring script: its score, or its error message."""
    command = [
        sys.executable,
        "-m",
        f"scripts.scores.score_{protocol}",
        "--benchmark",
        "b",
        "--base",
        "x",
        "--teacher",
        "t",
    ]
    command += ["--baseline", "g", "--judge", "j", "--judgments", folder / "judgments.parquet"]
    command += ["--output", folder / "score.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return json.loads((folder / "score.json").read_text()) if status == 0 else done.stderr


LONG, SHORT = "a long answer", "short"


def test_both_orders_give_the_same_preference(server, tmp_path):
    questions = [(f"Question {i}", LONG if i % 3 else SHORT, SHORT if i % 3 else LONG) for i in range(30)]
    judgments, _ = judge(server, tmp_path, "alpaca_eval", questions)
    assert judgments["switched"].to_list() == [switched(q[0]) for q in questions]
    assert set(judgments["switched"]) == {True, False}
    got = score(tmp_path, "alpaca_eval")
    assert got["wr"]["value"] == pytest.approx(100 * (20 * 0.75 + 10 * 0.25) / 30)
    assert "lc" not in got and (got["n"], got["n_unparsed"]) == (30, 0)
    assert (got["n_prompt_tokens"], got["n_tokens"]) == (30 * 40, 30 * 2)
    assert got["usd"] == pytest.approx((30 * 40 * 1000 + 30 * 2 * 5000) / 1e6)
    body = server.bodies[0]
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, 5)


def test_identical_and_empty_answers_are_decided_without_the_judge(server, tmp_path):
    questions = [("Question", LONG, LONG), ("Other", None, LONG), *((f"Number {i}", LONG, SHORT) for i in range(10))]
    judgments, _ = judge(server, tmp_path, "alpaca_eval", questions)
    assert judgments["decided"].to_list() == ["identical", "empty"] + [None] * 10 and len(server.bodies) == 10
    assert score(tmp_path, "alpaca_eval")["wr"]["value"] == pytest.approx(100 * (0.5 + 0 + 10 * 0.75) / 12)
    judge(server, tmp_path / "games", "arena_hard", questions[:3])
    # two ties; two clear losses; [[A>B]] won as A and [[B>>A]] won as B
    assert score(tmp_path / "games", "arena_hard")["wr"]["value"] == pytest.approx(100 * (1 + 4) / (2 + 6 + 4))


def test_a_prompt_without_a_baseline_answer_has_a_reason_and_is_not_judged(server, tmp_path):
    questions = [("Question", LONG, None), *((f"Number {i}", LONG, SHORT) for i in range(60))]
    judgments, _ = judge(server, tmp_path, "alpaca_eval", questions)
    assert judgments["reason"].to_list() == ["no_baseline_answer"] + [None] * 60 and len(server.bodies) == 60
    assert judgments["decided"].null_count() == 61
    got = score(tmp_path, "alpaca_eval")
    assert (got["n"], got["n_unparsed"], got["wr"]["value"]) == (60, 1, pytest.approx(75))


def test_arena_hard_plays_two_games_and_the_longer_answer_wins_both(server, tmp_path):
    judgments, _ = judge(server, tmp_path, "arena_hard", [("One", LONG, SHORT), ("Two", SHORT, LONG)])
    assert judgments.select("id", "game").rows() == [("0", 1), ("0", 2), ("1", 1), ("1", 2)]
    # the judge writes [[B>>A]] if the second answer is longer and [[A>B]] if the first one is
    got = score(tmp_path, "arena_hard")["wr"]
    assert got["value"] == pytest.approx(50) and got["ci"] == [0, 100]


@pytest.mark.parametrize("faults", ["busy,busy", "broken,broken", "hang,hang", "reset,reset", "garbage", "bare"])
def test_the_next_run_repeats_failed_requests_and_no_others(server, tmp_path, faults):
    questions = [("Fine", LONG, SHORT), (f"{faults} q", LONG, SHORT)]
    _, printed = judge(server, tmp_path, "alpaca_eval", questions, status=1)
    assert "1 of 2 rows failed" in printed and not (tmp_path / "judgments.parquet").exists()
    # an answer without log-probabilities is billed too, and so is a control request
    paid = 0.05 * (1 + (faults == "bare") + server.asked["control"])
    assert spent(tmp_path / "spent_usd.txt") == pytest.approx(paid)
    judgments, _ = judge(server, tmp_path, "alpaca_eval", questions)
    assert server.asked["Fine"] == 1 and judgments["logprobs"].null_count() == judgments["reason"].count() == 0


@pytest.mark.fault(18)
@pytest.mark.parametrize("fault, reason", [("filtered q", "content_filter"), ("foreign q", None)])
def test_an_unreadable_judgment_has_a_reason_and_too_many_are_an_error(server, tmp_path, fault, reason):
    judgments, _ = judge(server, tmp_path, "alpaca_eval", [(fault, LONG, SHORT), ("Fine", LONG, SHORT)])
    assert judgments["reason"].to_list() == [reason, None]
    assert "without a preference: 1 of 2" in score(tmp_path, "alpaca_eval", status=1)


def test_a_judge_without_a_verdict_is_asked_once_to_finish(server, tmp_path):
    judgments, _ = judge(server, tmp_path, "arena_hard", [("unsure,unsure q", LONG, SHORT)])
    assert [text.splitlines()[0] for text in judgments["text"]] == ["I would rather not decide yet."] * 2
    verdicts = [text.splitlines()[1] for text in judgments["text"]]
    assert verdicts == ["My own answer. [[B>>A]]", "My own answer. [[A>B]]"]  # the longer answer is second, then first
    assert len(server.bodies) == 4 and len(server.bodies[-1]["messages"]) == 3
    assert judgments["n_prompt_tokens"].to_list() == [80, 80]
    assert judgments["usd"].to_list() == pytest.approx([2 * 0.05, 2 * 0.05])  # 40 tokens read and 2 written, twice
    judgments, _ = judge(server, tmp_path / "never", "arena_hard", [("refuse,refuse,refuse,refuse q", LONG, SHORT)])
    assert len(server.bodies) == 8
    assert "games without a verdict: 2 of 2" in score(tmp_path / "never", "arena_hard", status=1)
    judge(server, tmp_path / "two", "arena_hard", [("two_verdicts,two_verdicts q", LONG, SHORT)])
    assert len(server.bodies) == 10  # two different verdicts count as none, and there is no request to finish
    assert "games without a verdict: 2 of 2" in score(tmp_path / "two", "arena_hard", status=1)
    judge(server, tmp_path / "other", "arena_hard", [("other_label,other_label q", LONG, SHORT)])
    assert "games without a verdict: 2 of 2" in score(tmp_path / "other", "arena_hard", status=1)
    assert server.bodies[-1]["max_tokens"] == 900


def test_the_sampling_of_a_judge_can_be_left_out(server, tmp_path):
    judge(server, tmp_path, "arena_hard", [("Fine", LONG, SHORT)])
    assert (server.bodies[-1]["temperature"], server.bodies[-1]["top_p"]) == (0, 1)
    judge(server, tmp_path, "arena_hard", [("Fine", LONG, SHORT)], sampling='{"temperature": null, "top_p": null}')
    assert not {"temperature", "top_p", "seed"} & set(server.bodies[-1])


def test_a_template_does_not_fill_placeholders_inside_a_text_and_needs_all_of_them(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("<|im_start|>system\nJudge.\n<|im_end|>\n" + TEMPLATE)
    filled = fill_template(read_template(path), instruction="{output_1}", output_1="{}", output_2="{instruction}")
    assert filled == [
        {"role": "system", "content": "Judge."},
        {"role": "user", "content": "Q: {output_1}\n1: {}\n2: {instruction}"},
    ]
    path.write_text(TEMPLATE.replace("{output_2}", "{output_1}"))
    with pytest.raises(SystemExit, match="and then"):
        read_template(path)
    for shipped in (ROOT / "config/judges").glob("*.txt"):
        assert [message["role"] for message in read_template(shipped)] == ["system", "user"]
