"""The uncertainty of a ranking, compared with a plain bootstrap over instructions and with the normal distribution."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from scripts.metrics.car import car
from scripts.ranking import assess_ranking
from scripts.ranking.assess_ranking import advice, sample_size, stability_rows
from scripts.ranking.sampling_error import car_of_samples, mean_tau, n_needed, noise, p_first
from scripts.ranking.vary_ranking import vary
from scripts.report.sensitivity import in_words

RNG = np.random.default_rng(5)
BETA = 0.7


def rewards_and_losses(n=800, teachers=5, apart=0.08):
    """Rewards and losses (n, teachers) of the same instructions, some of which are hard for every teacher."""
    hard = RNG.normal(size=(n, 1))
    r = 2 - hard + apart * np.arange(teachers) + RNG.normal(size=(n, teachers))
    return r, np.abs(1 + 0.3 * hard + 0.4 * RNG.normal(size=(n, teachers)))


def bootstrapped(r, loss, resamples=3000):
    drawn = RNG.integers(len(r), size=(resamples, len(r)))
    return np.stack([car(r[rows].mean(0), loss[rows].mean(0), BETA) for rows in drawn])


def test_errors_and_chances_agree_with_a_bootstrap_over_instructions():
    r, loss = rewards_and_losses()
    means, covariance = car_of_samples(r, loss, BETA)
    plain = bootstrapped(r, loss)
    assert means == pytest.approx(car(r.mean(0), loss.mean(0), BETA))
    assert np.sqrt(np.diag(covariance)) == pytest.approx(plain.std(0, ddof=1), rel=0.06)
    assert np.corrcoef(plain, rowvar=False) == pytest.approx(np.corrcoef(noise(covariance), rowvar=False), abs=0.06)
    first = int(means.argmax())
    assert p_first(means, noise(covariance), first) == pytest.approx((plain.argmax(1) == first).mean(), abs=0.03)
    tau = np.mean([stats.kendalltau(row, means).statistic for row in plain[:500]])
    assert mean_tau(means, noise(covariance)) == pytest.approx(tau, abs=0.03)


def test_pairing_makes_the_error_of_a_difference_smaller():
    r, loss = rewards_and_losses(teachers=2)
    _, covariance = car_of_samples(r, loss, BETA)
    paired = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert paired < 0.8 * (covariance[0, 0] + covariance[1, 1])


def test_for_two_teachers_the_chance_and_the_sample_size_follow_the_normal_distribution():
    means, covariance, n = np.array([1.0, 1.3]), np.diag([0.02, 0.07]), 100  # their difference: .3 +- .3
    errors = noise(covariance)
    assert p_first(means, errors, 1) == pytest.approx(stats.norm.cdf(1), abs=0.01)
    by_hand = n * stats.norm.ppf(0.95) ** 2
    assert n_needed(n, means, errors, 1, 0.95) == pytest.approx(by_hand, rel=0.1)
    assert n_needed(n, np.array([1.0, 1.0 + 1e-5]), errors, 1, 0.95) is None


def test_with_the_computed_number_of_instructions_the_chance_is_the_predicted_one():
    r, loss = rewards_and_losses(n=600_000, teachers=3, apart=0.02)
    means, covariance = car_of_samples(r, loss, BETA)
    needed = n_needed(len(r), means, noise(covariance), 2, 0.9)
    samples = [slice(i * needed, (i + 1) * needed) for i in range(len(r) // needed)]
    first = [car(r[s].mean(0), loss[s].mean(0), BETA).argmax() == 2 for s in samples]
    assert len(first) >= 40 and np.mean(first) == pytest.approx(0.9, abs=0.12)


def test_each_teacher_has_an_error_a_chance_and_a_range_of_ranks():
    rows = stability_rows("b", ["x", "y", "z"], np.array([1.0, 5.0, 1.1]), np.diag([0.01, 0.04, 0.01]))
    assert [(r["teacher"], r["p_first"]) for r in rows] == [("y", 1.0), ("z", 0.0), ("x", 0.0)]
    assert [r["car_se"] for r in rows] == pytest.approx([0.2, 0.1, 0.1])
    assert [(r["rank_low"], r["rank_high"]) for r in rows] == [(1, 1), (2, 3), (2, 3)]


def test_the_advice_names_the_result_and_the_number_of_instructions():
    settled = sample_size(["x", "y"], 500, np.array([1.0, 3.0]), np.diag([0.1, 0.1]), 0.95)
    assert settled["settled"] and settled["n_needed"] < 500
    assert settled["advice"] == (
        "y is first by CAR in 100.0% of samples of 500 instructions: settled. "
        f"About {settled['n_needed']} instructions would have been enough."
    )
    open_ = sample_size(["x", "y"], 500, np.array([1.0, 1.2]), np.diag([0.1, 0.1]), 0.95)
    assert not open_["settled"] and f"about {open_['n_needed']} instructions would show it" in open_["advice"]
    assert open_["n_needed"] > 500 and open_["target"] == 0.95
    assert "Even a million instructions would not settle it" in advice(
        {"first": "x", "p_same_top1": 0.5, "n": 90}, False, None
    )
    assert advice({"first": "x", "p_same_top1": 0.96, "n": 500}, True, 520).endswith("instructions: settled.")


def test_the_first_teacher_with_other_betas_and_rewards_is_reported():
    # the loss of y is far higher: y is first by reward alone, x from beta .2 on: 3 / 1.2 > 4 / 1.8 ...
    columns = {"base": "b", "teacher": ["x", "y"], "rank": [1, 2], "car": [1.5, 0.8], "loss": [1.0, 4.0]}
    table = pl.DataFrame({**columns, "reward:rm": [3.0, 4.0], "sigmoid:rm": [0.95, 0.98]})
    rows = vary(table, 1.0)
    firsts = {(row["transform"], row["beta"]): (row["first"], row["tau"]) for row in rows}
    assert firsts["none", 0.0] == firsts["none", 0.1] == ("y", -1)  # 3 / 1.1 = 2.73 against 4 / 1.4 = 2.86
    assert firsts["none", 0.2] == firsts["none", 100.0] == ("x", 1)  # 3 / 1.2 = 2.5 against 4 / 1.8 = 2.22
    assert firsts["sigmoid", 0.0][0] == "y" and firsts["sigmoid", 0.1][0] == "x" and len(rows) == 18
    sentence = "Of 18 choices of beta (0 to 100), reward model and transform, 15 put x first, 3 y."
    assert in_words(pl.DataFrame(rows), "x") == sentence
    assert in_words(pl.DataFrame(rows[2:9]), "x").startswith("All 7 choices of beta")


def test_few_instructions_and_equal_teachers_are_never_settled():
    few = sample_size(["x", "y"], 12, np.array([1.0, 3.0]), np.diag([0.01, 0.01]), 0.95)
    assert not few["settled"] and few["advice"].endswith(
        "12 instructions, but these are too few to conclude anything: use at least 30."
    )
    same = sample_size(["x", "y"], 500, np.array([1.0, 1.0]), np.full((2, 2), 0.1), 0.95)
    assert not same["settled"] and same["p_same_top1"] == 0 and same["n_needed"] is None
    single = sample_size(["x"], 500, np.array([1.0]), np.array([[0.1]]), 0.95)
    assert single["settled"] and single["p_same_top1"] == 1


def test_only_instructions_that_all_compared_teachers_answered_count(tmp_path, monkeypatch):
    r, loss = rewards_and_losses(n=60, teachers=3)
    paths = []
    for j, name in enumerate(("a", "b", "below")):
        frame = {
            "id": [str(i) for i in range(60)],
            "base": "x",
            "teacher": name,
            "reward:rm": r[:, j],
            "loss": loss[:, j],
        }
        reason = [("empty" if (name, i) in (("a", 3), ("b", 5), ("below", 7)) else None) for i in range(60)]
        paths.append(tmp_path / f"{name}.parquet")
        pl.DataFrame(frame).sample(fraction=1, shuffle=True, seed=j).join(
            pl.DataFrame({"id": frame["id"], "reason": pl.Series(reason, dtype=pl.String)}), on="id"
        ).write_parquet(paths[-1])
    out = [tmp_path / "stability.csv", tmp_path / "sample_size.csv"]
    settings = '{"reward_model": "rm", "beta": 0.7, "transform": "sigmoid"}'
    command = ["x", "--car", settings, "--compared", "a", "b", "--p-same-top1", "0.9", "--metrics", *map(str, paths)]
    monkeypatch.setattr("sys.argv", [*command, "--output-stability", str(out[0]), "--output-sample-size", str(out[1])])
    assess_ranking.main()
    assert pl.read_csv(out[1])["n"].to_list() == [58]
    keep = [i for i in range(60) if i not in (3, 5)]
    cars = car((1 / (1 + np.exp(-r[keep]))).mean(0), loss[keep].mean(0), BETA)
    got = dict(pl.read_csv(out[0]).select("teacher", "car").iter_rows())
    assert got == pytest.approx({"a": cars[0], "b": cars[1]})
