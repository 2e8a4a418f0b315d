"""CAR over beta, origin and reward models, and with a beta that was chosen on other bases."""

import numpy as np
import polars as pl
import pytest

from scripts.correlations.vary_car import ORIGINS, chosen_betas, vary
from scripts.metrics.car import BETAS, car
from scripts.metrics.rank_statistics import rho

RNG = np.random.default_rng(11)
N = 12


def base_with_ap(base, best_beta, name="reward:rm", shift=0.0):
    """One base, whose AP with each teacher is the teacher's CAR at `best_beta`."""
    reward, loss = RNG.normal(3 + shift, 1, N), RNG.uniform(0.2, 3, N)
    frame = {"base": base, name: reward, "loss": loss, "ap": car(reward, loss, best_beta), "ap_se": 0.0}
    return pl.DataFrame(frame).with_columns(teacher=pl.format("t{}", pl.int_range(pl.len())))


def rho_at(frame, beta):
    x = car(frame["reward:rm"].to_numpy(), frame["loss"].to_numpy(), beta)
    return float(rho(x, frame["ap"].to_numpy()))


def select(rows, **values):
    return [row for row in rows if all(row.get(key) == value for key, value in values.items())]


def test_rho_over_beta_is_that_of_car_at_each_beta_and_the_average_is_their_mean():
    bases = [base_with_ap("a", 0.5), base_with_ap("b", 5)]
    rows = vary(bases, "reward:rm", beta=0.7)
    assert sorted({r["beta"] for r in select(rows, base="a", origin=0.0) if "beta_chosen_on" not in r}) == sorted(
        [*BETAS, 0.7]
    )
    for beta in (0, 0.7, 10):
        each = [rho_at(frame, beta) for frame in bases]
        got = [r for r in select(rows, beta=beta, origin=0.0) if "beta_chosen_on" not in r]
        assert [r["rho"] for r in got] == pytest.approx([*each, np.mean(each)])
        assert all(r["low"] <= r["rho"] <= r["high"] and r["n"] == N for r in got)


def test_the_origin_shifts_every_reward_and_negative_ones_are_counted():
    frame = base_with_ap("a", 1.0)
    rows = vary([frame], "reward:rm", beta=1.0)
    spread = frame["reward:rm"].std()
    shifted = {round(r["origin"] / spread): r for r in select(rows, base="a", beta=1.0) if r["origin"]}
    assert set(shifted) == set(ORIGINS)
    loss = frame["loss"].to_numpy()
    for k in (-4, 1, 100):
        reward = frame["reward:rm"].to_numpy() + k * spread
        assert shifted[k]["rho"] == pytest.approx(float(rho(car(reward, loss, 1.0), frame["ap"].to_numpy())))
        assert shifted[k]["n_negative"] == (reward < 0).sum()
    # far from zero the differences of the rewards do not matter, and CAR orders by the loss alone
    assert shifted[100]["rho"] == pytest.approx(float(rho(-loss, frame["ap"].to_numpy())), abs=0.05)


def test_a_sigmoid_has_no_origin_to_vary():
    rows = vary([base_with_ap("a", 1.0, "sigmoid:rm")], "sigmoid:rm", beta=1.0)
    assert {(r["transform"], r["reward_model"], r["origin"]) for r in rows} == {("sigmoid", "rm", 0.0)}


def test_a_beta_is_chosen_without_the_base_it_is_scored_on():
    # rows: betas; the first beta is best for base 0, the second for bases 1 and 2
    rhos = np.array([[0.9, 0.4, 0.2], [0.5, 0.6, 0.7]])
    assert chosen_betas(rhos) == {"these bases": [1, 1, 1], "other bases": [1, 1, 0]}
    assert chosen_betas(np.array([[0.1], [0.2]])) == {"these bases": [1]}
    assert chosen_betas(np.array([[np.nan, 0.1], [0.2, 0.3]])) == {}


def test_a_beta_of_other_bases_scores_no_better_than_one_tuned_on_the_same_bases():
    bases = [base_with_ap(name, beta) for name, beta in (("a", 0.1), ("b", 1), ("c", 10))]
    rows = vary(bases, "reward:rm", beta=1.0)
    elsewhere = select(rows, beta_chosen_on="other bases")
    tuned = select(rows, beta_chosen_on="these bases")
    assert [r["base"] for r in elsewhere] == [r["base"] for r in tuned] == ["a", "b", "c", "average"]
    assert elsewhere[-1]["rho"] == pytest.approx(np.mean([r["rho"] for r in elsewhere[:-1]]))
    assert elsewhere[-1]["rho"] <= tuned[-1]["rho"] and len({r["beta"] for r in tuned}) == 1
    for i, row in enumerate(elsewhere[:-1]):
        others = [frame for j, frame in enumerate(bases) if j != i]
        means = {beta: np.mean([rho_at(frame, beta) for frame in others]) for beta in BETAS}
        assert means[row["beta"]] == max(means.values()) and row["rho"] == pytest.approx(rho_at(bases[i], row["beta"]))


def test_equal_cars_have_a_note_and_no_rho():
    frame = base_with_ap("a", 1.0).with_columns(pl.lit(2.0).alias("reward:rm"), loss=1.0)
    rows = vary([frame], "reward:rm", beta=1.0)
    assert rows and all("rho" not in row and "the same for every teacher" in row["note"] for row in rows)


def test_fewer_than_ten_teachers_are_marked():
    frame = base_with_ap("a", 1.0).head(6)
    assert {row["note"] for row in vary([frame], "reward:rm", 1.0)} == {"too few teachers (6) to conclude anything"}
