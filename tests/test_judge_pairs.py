"""A language model as judge, with a server that prefers longer answers and fails on request.

No result is lost and no request is paid twice.
"""

import gc
import json
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO

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


def judge(
    server,
    folder,
    protocol,
    questions,
    status=0,
    *options,
    raw=None,
    sampling='{"max_new_tokens": 900}',
    pairs=("x/t",),
):
    """Run the script on rows of (instruction, model's answer, baseline's answer): its judgments and printed text.

    raw: the raw instructions, if they differ. pairs: several have the same answers; the judgments are those of x/t.
    """
    folder.mkdir(exist_ok=True)
    ids = [str(i) for i in range(len(questions))]
    frame = pl.DataFrame(questions, schema=["instruction", "answer", "baseline"], orient="row").with_columns(
        id=pl.Series(ids)
    )
    raw_instruction = pl.Series("raw_instruction", raw or [question for question, *_ in questions])
    frame.select("id", "instruction", raw_instruction).write_parquet(folder / "prompts.parquet")
    names = {"benchmark": pl.lit("b"), "base": pl.lit("x"), "teacher": pl.lit("t"), "finish_reason": pl.lit("stop")}
    reason = pl.when(pl.col("answer").is_null()).then(pl.lit("empty")).alias("reason")
    # the answers are in another order than the prompts
    frame.select("id", "answer", reason, n_tokens=pl.lit(777), **names).reverse().write_parquet(
        folder / "answers.parquet"
    )
    frame.select("id", answer="baseline", reason=pl.lit(None, pl.String)).write_parquet(folder / "baseline.parquet")
    template = TEMPLATE.replace("<|im_end|>", "Reply with one word.<|im_end|>") if protocol == "label" else TEMPLATE
    (folder / "template.txt").write_text(template)
    endpoint = {"base_url": server.url, "api_key_env": "JUDGE_KEY", "max_tokens_name": "max_tokens"}
    names = {"revision": None, "chat_template": None, "trust_remote_code": False}
    arguments = {
        "protocol": protocol,
        "judge": json.dumps({"engine": "openai", "model": "m", "openai": endpoint, **names}),
        "sampling": sampling,  # max_new_tokens is ignored by alpaca_eval, which always takes one token
        "api": json.dumps(API | {"ledger": str(folder / "spent_usd.txt")}),
        "store": folder / "rows",
        **{name: folder / f"{name}.parquet" for name in ("prompts", "answers", "baseline")},
        "template": folder / "template.txt",
    }
    given = [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    outputs = [folder / ("judgments.parquet" if pair == "x/t" else f"{pair[2:]}.parquet") for pair in pairs]
    given += ["--pairs", *pairs, "--outputs", *map(str, outputs)]
    printed = run("scripts.judgments.judge_pairs", *given, *options, status=status)
    assert KEY not in printed
    return pl.read_parquet(folder / "judgments.parquet") if status == 0 else None, printed


def run(script, *arguments, status=0):
    """Run a script in this process, since a new one takes seconds to import: its printed text and error message."""
    printed, message = StringIO(), None
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.setattr("sys.argv", [script, *arguments])
        patch.setenv("JUDGE_KEY", KEY)
        try:
            import_module(script).main()
        except SystemExit as error:
            message = str(error)
    gc.collect()  # the lock of the row store is free when its process ends
    assert (message is not None) == status, printed.getvalue() + str(message)
    return printed.getvalue() + (message or "")


def score(folder, protocol, *options):
    """Run the protocol's scoring script: its score."""
    names = ["--benchmark", "b", "--pairs", "x/t", "--baseline", "g", "--judge", "j"]
    files = ["--judgments", str(folder / "judgments.parquet"), "--outputs", str(folder / "score.json")]
    run(f"scripts.scores.score_{protocol}", *names, *files, *options)
    return json.loads((folder / "score.json").read_text())


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


def test_a_pair_with_a_failed_row_is_named_and_the_other_pairs_are_judged(server, tmp_path):
    questions, pairs = [("busy,busy q", LONG, SHORT), ("Fine", LONG, SHORT)], ("x/t", "x/u")
    _, printed = judge(server, tmp_path, "alpaca_eval", questions, status=1, pairs=pairs)
    assert printed.splitlines()[-1].startswith("x/t: 1 of 2 rows failed")
    assert not (tmp_path / "judgments.parquet").exists()
    assert pl.read_parquet(tmp_path / "u.parquet")["logprobs"].null_count() == 0
    judge(server, tmp_path, "alpaca_eval", questions, pairs=pairs)
    assert server.asked["Fine"] == 2  # once for each pair


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
def test_an_unreadable_judgment_has_a_reason_and_too_many_leave_the_pair_without_a_score(
    server, tmp_path, fault, reason
):
    fine = [(f"Number {i}", LONG, SHORT) for i in range(11)]
    judgments, _ = judge(server, tmp_path, "alpaca_eval", [(fault, LONG, SHORT), *fine])
    assert judgments["reason"].to_list() == [reason] + [None] * 11
    got = score(tmp_path, "alpaca_eval")
    assert got["unparsed"] == {reason or "neither m nor M": 1} and (got["n"], got["n_unparsed"]) == (11, 1)
    assert got["wr"]["value"] == pytest.approx(75) and "reason" not in got
    # the same preference eleven times, and an unknown one: the bootstrap resamples both, and the ends are 0 and 1
    low, high = got["wr"]["ci"]
    assert low < 100 * 11 * 0.75 / 12 and high > 100 * (11 * 0.75 + 1) / 12
    assert got["length_only"]["ci"][0] < 70 and got["length_only"]["ci"][1] > 75
    strict = score(tmp_path, "alpaca_eval", "--max-unparsed", "0.05")
    assert strict["wr"]["value"] is strict["wr"]["ci"] is strict["length_only"]["value"] is None
    assert strict["reason"] == (f"1 of 12 judgments cannot be read, more than 5%: {reason or 'neither m nor M'} (1)")


def test_a_judge_that_names_no_answer_is_not_scored_and_not_asked_further(server, tmp_path):
    questions = [(f"foreign,foreign q{i}", LONG, SHORT) for i in range(40)]
    _, printed = judge(server, tmp_path, "alpaca_eval", questions, status=1)
    assert len(server.bodies) == 8 and "the first 8 outputs of the judge cannot be read, for example 'I'" in printed
    _, printed = judge(server, tmp_path, "alpaca_eval", questions, status=1)
    assert len(server.bodies) == 8  # nothing is paid twice
    for protocol in ("arena_hard", "label"):
        server.bodies.clear()
        empty = [(f"empty,empty {protocol} {i}", LONG, SHORT) for i in range(40)]
        _, printed = judge(server, tmp_path / protocol, protocol, empty, status=1)
        assert len(server.bodies) == 8 and "they have no text (empty)" in printed and "max_new_tokens" in printed


def test_the_mass_on_the_two_names_is_reported(server, tmp_path):
    questions = [("hesitant q", LONG, SHORT), *((f"Number {i}", LONG, SHORT) for i in range(10))]
    judge(server, tmp_path, "alpaca_eval", questions)
    got = score(tmp_path, "alpaca_eval")
    assert got["mass_on_names"] == pytest.approx((0.6 + 10) / 11) and got["n_unparsed"] == 0
    assert got["wr"]["value"] == pytest.approx(100 * (0.45 / 0.6 + 10 * 0.75) / 11)


def test_a_judge_without_a_verdict_is_asked_once_to_finish(server, tmp_path):
    judgments, _ = judge(server, tmp_path, "arena_hard", [("unsure,unsure q", LONG, SHORT)])
    assert judgments["text"].to_list() == ["I would rather not decide yet."] * 2
    verdicts = ["My own answer. [[B>>A]]", "My own answer. [[A>B]]"]  # the longer answer is second, then first
    assert judgments["second_text"].to_list() == verdicts
    assert len(server.bodies) == 4 and len(server.bodies[-1]["messages"]) == 3
    assert judgments["n_prompt_tokens"].to_list() == [80, 80]
    assert judgments["usd"].to_list() == pytest.approx([2 * 0.05, 2 * 0.05])  # 40 tokens read and 2 written, twice
    judgments, _ = judge(server, tmp_path / "never", "arena_hard", [("refuse,refuse,refuse,refuse q", LONG, SHORT)])
    assert len(server.bodies) == 8
    got = score(tmp_path / "never", "arena_hard")
    assert got["reason"].startswith("2 of 2 judgments cannot be read") and got["unparsed"] == {"no verdict": 2}
    assert got["wr"] == {"value": None, "se": None, "ci": None}
    judge(server, tmp_path / "two", "arena_hard", [("two_verdicts,two_verdicts q", LONG, SHORT), ("Fine", LONG, SHORT)])
    assert len(server.bodies) == 12  # the last of two different verdicts counts, and there is no request to finish
    got = score(tmp_path / "two", "arena_hard")  # B>A twice: the model wins the first game and loses the second
    assert got["wr"]["value"] == pytest.approx(100 * (1 + 3 + 1) / 6) and got["orders_agree"] == 0.5
    judgments, _ = judge(server, tmp_path / "other", "arena_hard", [("other_label,other_label q", LONG, SHORT)])
    assert len(server.bodies) == 16 and judgments["second_text"].to_list() == verdicts
    assert server.bodies[-1]["max_tokens"] == 900


def test_the_strict_reading_asks_again_only_without_any_label(server, tmp_path):
    questions = [("two_verdicts,two_verdicts q", LONG, SHORT), ("other_label,other_label q", LONG, SHORT)]
    questions += [("spaced,spaced q", LONG, SHORT), ("Fine", LONG, SHORT)]
    judgments, _ = judge(server, tmp_path, "arena_hard", questions, 0, "--strict-verdicts")
    assert judgments["second_text"].is_not_null().to_list() == [False] * 4 + [True] * 2 + [False] * 2
    got = score(tmp_path, "arena_hard", "--strict-verdicts", "--max-unparsed", "0.5")
    assert got["n_unparsed"] == 4 and got["wr"]["value"] == 100


def test_an_unfinished_draft_is_no_verdict(server, tmp_path):
    judgments, _ = judge(server, tmp_path, "arena_hard", [("thinking,draft q", LONG, SHORT), ("Fine", LONG, SHORT)])
    assert judgments["text"][:2].str.contains(r"\[\[A>>B\]\]").all() and len(server.bodies) == 6
    assert score(tmp_path, "arena_hard")["wr"]["value"] == 100


def test_one_word_in_both_orders_gives_a_win_rate(server, tmp_path):
    questions = [(f"Number {i}", LONG, SHORT) for i in range(3)] + [("Worse", SHORT, LONG), ("Same", LONG, LONG)]
    questions += [("Nothing", None, LONG), ("first,first q", LONG, SHORT), ("unsure,unsure q", LONG, SHORT)]
    judgments, _ = judge(server, tmp_path, "label", questions)
    assert "logprobs" not in server.bodies[0] and judgments.height == 16
    assert judgments["text"].to_list()[:2] == ["B", "A"]  # the longer answer is second, then first
    assert judgments["second_text"].to_list()[-2:] == ["B", "A"]
    got = score(tmp_path, "label")
    # three wins, a loss, a tie, a loss without an answer, the first answer in both games, a win after a second question
    assert got["wr"]["value"] == pytest.approx(100 * (3 + 0 + 0.5 + 0 + 0.5 + 1) / 8)
    assert (got["n"], got["n_unparsed"]) == (8, 0) and got["orders_agree"] == pytest.approx(5 / 6)
    assert got["first_preferred"] == pytest.approx(7 / 12) and "warning" not in got
    refused = [*questions, ("refuse,refuse,refuse,refuse q", LONG, SHORT)]
    judge(server, tmp_path, "label", refused)
    got = score(tmp_path, "label", "--max-unparsed", "0.2")
    assert got["wr"]["value"] == pytest.approx(100 * 5 / 8) and got["unparsed"] == {"no answer named": 2}
    assert got["n"] == 8 and got["n_unparsed"] == 2


@pytest.mark.parametrize("protocol", ["label", "arena_hard", "alpaca_eval"])
def test_a_judge_that_always_prefers_the_first_answer_has_a_warning(server, tmp_path, protocol):
    fault = "first" if protocol != "alpaca_eval" else "m_only"
    judge(server, tmp_path, protocol, [(f"{fault},{fault} q{i}", LONG, SHORT) for i in range(24)])
    got = score(tmp_path, protocol)
    assert got["first_preferred"] == 1 and got.get("orders_agree") in (0, None)
    assert (
        got["warning"] == "the judge prefers the answer that it sees first in 100% of its judgments, whatever it says"
    )


def test_the_order_of_the_answers_follows_the_raw_instruction(server, tmp_path):
    questions = [(f"Question {i}", LONG, SHORT) for i in range(30)]
    raw = [f" {question}\r\n" for question, *_ in questions]
    judgments, _ = judge(server, tmp_path, "alpaca_eval", questions, raw=raw)
    assert judgments["switched"].to_list() == [switched(text) for text in raw]
    assert judgments["switched"].to_list() != [switched(question) for question, *_ in questions]


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
