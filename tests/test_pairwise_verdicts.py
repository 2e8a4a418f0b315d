"""Reading a judge's output gives what the leaderboards recorded for the same output."""

import json
import math
import os

import datasets
import polars as pl
import pytest

from conftest import ROOT
from scripts.judgments.pairwise_verdicts import games, preference, switched

ALPACA = pl.read_parquet(ROOT / "tests/data/alpaca_eval/annotations.parquet")
ARENA = ROOT / "tests/data/arena_hard"


def test_preferences_equal_those_recorded_for_the_same_log_probabilities():
    judged = ALPACA.filter(pl.col("judge_logprob_m").is_not_null() | pl.col("judge_logprob_M").is_not_null())
    assert judged.height > 3000
    for row in judged.iter_rows(named=True):
        logprobs = {name: row[f"judge_logprob_{name}"] for name in "mM" if row[f"judge_logprob_{name}"] is not None}
        assert preference(logprobs, row["is_switched"]) == pytest.approx(row["preference"] - 1, abs=1e-9)


def test_the_first_answer_is_the_models_if_the_order_was_switched():
    sure_of_first = {"m": math.log(0.9), "M": math.log(0.1)}
    assert preference(sure_of_first, was_switched=True) == pytest.approx(0.9)
    assert preference(sure_of_first, was_switched=False) == pytest.approx(0.1)
    assert preference({"M": -3.0}, was_switched=False) == 1.0
    assert preference({"I": -0.1}, was_switched=False) is None


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ("A>>B", "A>>B", (3, 0, 3)),  # the judge prefers the first answer in both games
        ("B>A", "A>B", (2, 0, 0)),
        ("B>>A", "A=B", (3, 1, 0)),
        ("A=B", "A=B", (0, 2, 0)),
        (None, "B>A", (0, 0, 1)),
        ("A<B", None, (0, 0, 0)),
    ],
)
def test_a_strong_verdict_counts_three_times_and_the_model_is_second_in_the_first_game(first, second, expected):
    assert games(first, second) == expected


def test_published_counts_of_games_give_the_published_win_rates():
    battles = pl.read_parquet(ARENA / "battles.parquet")
    for model, published in json.loads((ARENA / "published.json").read_text()).items():
        wins, ties, losses = battles.filter(model=model).select("n_win", "n_tie", "n_loss").sum().row(0)
        score = 100 * (wins + ties / 2) / (wins + ties + losses)
        assert score == pytest.approx(published["score_recomputed_repo_bt"], abs=0.01)


@pytest.mark.skipif("ALPACA_EVAL_JSON" not in os.environ, reason="needs AlpacaEval's instructions, not ours to ship")
def test_the_order_of_the_answers_equals_the_leaderboards():
    source = datasets.load_dataset("json", data_files=os.environ["ALPACA_EVAL_JSON"], split="train")
    assert sum(map(switched, source["instruction"])) == 406
