"""Every metric, compared with a value computed by hand and with a plain computation over single tokens."""

import gzip
import math
import random
import zlib

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from conftest import ROOT
from scripts.likelihoods.sums import SUMS
from scripts.likelihoods.token_scores import score_rows
from scripts.metrics.car import preferred
from scripts.metrics.definitions import METRICS, PARTS, REFERENCE_METRICS, better, data_set_values
from scripts.models.chat import Chat
from scripts.models.reward_scorer import score_rows as score_reward_rows
from scripts.models.tokenizers import load_tokenizer
from scripts.ranking.measure_diversity import added_bytes

# the sums of two responses
ROWS = pl.DataFrame(
    {
        "nll": [6.0, 3.0],
        "n_tokens": [4, 2],
        "end_nll": [0.5, 1.5],
        "end_n_tokens": [1, 1],
        "direct_nll": [9.0, 1.0],
        "direct_n_tokens": [3, 1],
        "rank_sum": [21, 7],
        "entropy": [8.0, 5.0],
        "brier": [2.0, 1.0],
        "end_entropy": [1.0, 1.0],
        "end_brier": [0.5, 0.5],
        "first_n_tokens": [1, 2],
        "first_nll": [2.4, 3.0],
        "prompt_n_tokens": [5, 0],
        "prompt_nll": [10.0, 0.0],
        "answer_similarity": [0.5, 0.25],
        "prompt_similarity": [0.2, None],
        "n_bytes": [20, 10],
        "deflated_bytes": [15, 3],
        "finish_reason": ["stop", "length"],
    }
)
# metric: values of the two rows, value of both together, better direction; computed by hand
GOLDEN = {
    "response_length": ([4, 2], 3, "higher"),
    "loss": ([6.5 / 5, 4.5 / 3], 1.4, "lower"),
    "loss_without_end": ([1.5, 1.5], 1.5, "lower"),
    "ppl_self": ([math.exp(1.5)] * 2, math.exp(1.5), "lower"),
    "ppl_self_trimmed": ([math.exp(1.5)] * 2, math.exp(1.5), "lower"),
    "ifd_self": ([math.exp(-1.5), math.exp(0.5)], (math.exp(-1.5) + math.exp(0.5)) / 2, "higher"),
    "rsr": ([3.5, 7 / 3], ((21 / 4 + 7 / 2) / 2) / 1.5, "lower"),
    "entropy": ([2, 2.5], 2.25, "lower"),
    "rank_entropy": ([21 / 8, 7 / 5], ((21 / 4 + 7 / 2) / 2) / 2.25, "lower"),
    "scas": ([0.5 * 1.5 * 1.5 * 0.5 + 0.5 * 1.5 * 2 * 0.2, None], 0.8625, "lower"),
    "aslec_drop": ([-1.2, None], -1.2, "higher"),
    "diversity": ([0.75, 0.3], 18 / 30, "higher"),
}


@pytest.mark.fault(24)
def test_every_metric_has_a_golden_value_and_a_direction():
    rows = ROWS.select(**{name: metric.row for name, metric in METRICS.items()}, **PARTS)
    assert set(GOLDEN) == set(METRICS)
    for name, (of_row, of_set, direction) in GOLDEN.items():
        assert rows[name].to_list() == pytest.approx(of_row), name
        assert rows.select(data_set_values([name])).item() == pytest.approx(of_set), name
        assert (better(name), bool(METRICS[name].source)) == (direction, True)
    named = ("reward:x", "car", "ppl:gpt2", "ifd:gpt2", "transfer", "lark", "aslec_casl", "reward_minus_ppl:x")
    assert [better(name) for name in named] == ["higher"] * 2 + ["lower"] + ["higher"] * 5
    assert {f"{name}_self": metric for name, metric in REFERENCE_METRICS.items()}.items() <= METRICS.items()


def test_the_chance_of_being_preferred_is_the_sigmoid():
    got = pl.DataFrame({"r": [0.0, math.log(3), -800.0, 800.0]}).select(preferred(pl.col("r"))).to_series()
    assert got.to_list() == pytest.approx([0.5, 0.75, 0, 1])


@pytest.fixture(scope="module")
def chat(tiny):
    return Chat(load_tokenizer(str(tiny), chat_template=str(ROOT / "config/templates/plain.jinja")))


def rows(n):
    rng = random.Random(0)
    text = lambda longest: "".join(rng.choices("abc de\u00e9\u4f60\n", k=rng.randint(1, longest)))  # noqa: E731
    return [{"instruction": text(30), "response": text(60), "finish_reason": "stop"} for _ in range(n)]


def test_sums_and_metrics_equal_a_loop_over_the_tokens(chat, tiny):
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    got = score_rows(chat, model, rows(12), 512, 500, per_token=True)
    without = score_rows(chat, model, rows(12), 512, 500)
    assert without == [{name: row[name] for name in (*SUMS, "unusable")} for row in got]
    losses, ranks, surprisals = [], [], []
    for row in got:
        n = row["n_tokens"]
        assert len(row["token_nll"]) == len(row["token_rank"]) == n + row["end_n_tokens"]
        assert row["nll"] == pytest.approx(sum(row["token_nll"][:n])) and row["rank_sum"] == sum(row["token_rank"][:n])
        assert row["end_nll"] == pytest.approx(sum(row["token_nll"][n:]))
        assert row["direct_nll"] == pytest.approx(sum(row["direct_token_nll"]))
        losses.append(sum(row["token_nll"]) / len(row["token_nll"]))
        ranks.append(sum(row["token_rank"][:n]) / n)
        surprisals.append(sum(row["token_nll"][:n]) / n)
    frame = pl.DataFrame(got).with_columns(n_bytes=1, deflated_bytes=1, finish_reason=pl.lit("stop"))
    frame = frame.select(**{name: metric.row for name, metric in METRICS.items()}, **PARTS)
    loss, rsr = frame.select(data_set_values(["loss", "rsr"])).row(0)
    assert loss == pytest.approx(sum(losses) / 12) and rsr == pytest.approx(sum(ranks) / sum(surprisals))


@pytest.mark.fault(21)
def test_a_likelihood_or_reward_that_is_not_finite_gives_a_reason_and_no_value(chat, tiny, tiny_reward_model):
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    judge = AutoModelForSequenceClassification.from_pretrained(tiny_reward_model).eval()
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
        judge.score.weight[0, 0] = float("inf")
    assert {tuple(row.values()) for row in score_rows(chat, model, rows(3), 512, 500)} == {
        (*[None] * len(SUMS), "not_finite")
    }
    pairs = [(row["instruction"], row["response"]) for row in rows(3)]
    reader = Chat(load_tokenizer(str(tiny_reward_model)))
    assert score_reward_rows(reader, judge, pairs, 500) == [{"reward": None, "unusable": "not_finite"}] * 3


def test_a_trimmed_mean_leaves_out_a_tenth_of_the_rows_at_each_end():
    rows = pl.DataFrame({"base": "b", "ppl_self_trimmed": [1e9, *range(2, 20), -1e9]})  # the two ends and 2, 19 go
    got = rows.group_by("base").agg(data_set_values(["ppl_self_trimmed"]))["ppl_self_trimmed"].item()
    assert got == pytest.approx(sum(range(3, 19)) / 16)


def words_of(n):
    rng = random.Random(1)
    return ["".join(rng.choices("abcdefghijklmnopqrst", k=rng.randint(2, 9))) for _ in range(n)]


def test_diversity_is_the_ratio_of_gzip_and_decreases_with_repetition():
    rng, words = random.Random(1), words_of(2000)
    different = [" ".join(rng.choices(words, k=120)) for _ in range(200)]
    repeating = [  # the second half is the same in all texts
        f"{text[: len(text) // 2]} {different[0][: len(text) // 2]}" for text in different
    ]
    ratios = []
    for texts in (different, repeating):
        together = "".join(texts).encode()
        added = sum(added_bytes(pl.Series(texts)))
        assert added == len(zlib.compress(together)) - len(zlib.compress(b""))
        assert added == pytest.approx(len(gzip.compress(together, 6)), abs=20)
        ratios.append(added / len(together))
    assert ratios[1] < 0.7 * ratios[0]


def test_diversity_of_a_text_does_not_depend_on_the_length_of_its_rows():
    text = " ".join(random.Random(2).choices(words_of(200), k=4000))[:16_000]
    cut = [[text[i : i + size] for i in range(0, len(text), size)] for size in (20, 100, 400, 1600)]
    assert len({sum(added_bytes(pl.Series(rows))) for rows in cut}) == 1


def test_a_missing_response_keeps_its_place_and_a_repeated_one_costs_a_few_bytes():
    text = "The quick brown fox jumps over the lazy dog."
    first, none, again = added_bytes(pl.Series([text, None, text]))
    assert none is None and 30 < first <= len(text) + 4 and 0 < again < 10
