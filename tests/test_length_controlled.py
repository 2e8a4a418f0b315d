"""Length-controlled win rates equal the leaderboard's, computed from its own preferences, lengths and weights.

tests/data/alpaca_eval has numbers of the public leaderboard: preferences and lengths of six models, its scores and
weights, and the difficulty of each instruction. df_gamed_standin replaces a table that is not public: its lengths and
sums of labels are exact, its single labels are not.
"""

import json

import numpy as np
import polars as pl
import pytest
from scipy import optimize, special

from conftest import ROOT
from scripts.scores.length_controlled import fit, win_rate
from scripts.scores.score_alpaca_eval import length_controlled

DATA = ROOT / "tests/data/alpaca_eval"
PUBLISHED = json.loads((DATA / "published.json").read_text())
DIFFICULTY = pl.read_parquet(DATA / "instruction_difficulty.parquet").select(
    "instruction_sha1", difficulty="instruction_difficulty"
)
GAMED = pl.read_parquet(DATA / "df_gamed_standin.parquet").select(
    "std_delta_len", y="preference", difficulty="instruction_difficulty"
)


def rows(model, seed=None):
    """One model's judged rows with the difficulties of their instructions, shuffled if a seed is given."""
    of_model = pl.read_parquet(DATA / "annotations.parquet").filter(model=model)
    y = pl.when(pl.col("preference") == 0).then(0.5).otherwise(pl.col("preference") - 1)
    of_model = of_model.select("instruction_sha1", "len_baseline", "len_model", y=y)
    if seed is not None:
        of_model = of_model.sample(fraction=1, shuffle=True, seed=seed)
    return of_model.join(DIFFICULTY, on="instruction_sha1", how="left", maintain_order="left")


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_win_rate_is_the_published_one(model):
    y = rows(model)["y"]
    assert 100 * y.mean() == pytest.approx(PUBLISHED[model]["win_rate"], abs=1e-9)
    assert 100 * y.std() / len(y) ** 0.5 == pytest.approx(PUBLISHED[model]["standard_error"], abs=1e-9)


@pytest.mark.parametrize("model", [name for name in PUBLISHED if name != "phi-2"])
def test_at_the_penalty_of_the_published_weights_the_score_is_the_published_one(model):
    weights, _ = fit(rows(model), GAMED, PUBLISHED[model]["C_implied_by_published_weights"])
    published = PUBLISHED[model]["length_controlled_winrate"]
    assert win_rate(rows(model), weights)[0] == pytest.approx(published, abs=0.02 if model == "gpt4_gamed" else 0.005)


@pytest.mark.parametrize("model", [name for name in PUBLISHED if name != "phi-2"])
def test_with_cross_validation_the_score_is_close_to_the_published_one(model):
    weights, _ = fit(rows(model), GAMED)
    assert win_rate(rows(model), weights)[0] == pytest.approx(PUBLISHED[model]["length_controlled_winrate"], abs=0.01)


def test_phi_2_was_published_with_the_difficulties_of_other_rows():
    published, right = PUBLISHED["phi-2"], rows("phi-2")
    strength = published["C_implied_by_published_weights"]
    assert right.height == 803  # two rows are missing, so a lookup by position is wrong after the first of them
    by_position = right.with_columns(DIFFICULTY["difficulty"].head(803))
    misaligned = win_rate(by_position, fit(by_position, GAMED, strength)[0])[0]
    assert misaligned == pytest.approx(published["length_controlled_winrate"], abs=0.005)
    aligned = win_rate(right, fit(right, GAMED, strength)[0])[0]
    assert aligned == pytest.approx(published["length_controlled_winrate"] - 0.51, abs=0.01)


@pytest.mark.parametrize("model", ["claude-2", "FuseChat-Gemma-2-9B-Instruct"])
def test_the_order_of_the_rows_does_not_matter(model):
    fits = [fit(rows(model, seed), gamed) for seed, gamed in ((None, GAMED), (1, GAMED.reverse()), (2, GAMED))]
    assert len({strength for _, strength in fits}) == 1
    for weights, _ in fits:
        assert weights.tolist() == pytest.approx(fits[0][0].tolist(), abs=1e-12)


def test_a_row_without_a_preference_is_left_out_of_the_fit_but_not_of_the_score():
    complete = rows("claude-2")
    gap = complete.with_columns(y=pl.when(pl.int_range(pl.len()) > 9).then("y"))
    assert np.allclose(fit(gap, GAMED, 1.0)[0], fit(complete, GAMED, 1.0)[0], atol=0.1)
    assert not np.allclose(fit(gap, GAMED, 1.0)[0], fit(complete, GAMED, 1.0)[0], atol=1e-6)


def test_without_gamed_rows_the_score_is_that_of_a_regression_on_length_only():
    own = rows("gpt4_gamed").with_columns(difficulty=pl.lit(0.0))
    difference = (own["len_baseline"] - own["len_model"]).to_numpy().astype(float)
    length, y = np.tanh(difference / difference.std(ddof=1)), own["y"].to_numpy()

    def loss(weights):
        chance = special.expit(weights[0] * length + weights[1])
        return -np.sum(y * np.log(chance) + (1 - y) * np.log(1 - chance))

    best = optimize.minimize(loss, [0.0, 0.0]).x
    got = length_controlled(own, None)
    assert got["value"] == pytest.approx(100 * special.expit(best[1]), abs=0.05)
    assert got["ci"][0] < got["value"] < got["ci"][1] and got["weights"]["difficulty"] == 0
