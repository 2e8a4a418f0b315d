"""The uncertainty of a ranking, compared with a plain bootstrap, with closed forms and with simulated studies."""

from math import inf

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from scripts.metrics.car import car
from scripts.ranking import assess_ranking
from scripts.ranking.assess_ranking import other_firsts, sample_size, stability_rows, verdict
from scripts.ranking.car_parts import parts_of_car
from scripts.ranking.highest_car import mean_tau, n_needed, p_ahead, p_highest, tied, true_cars
from scripts.ranking.sampling_error import car_of_samples
from scripts.ranking.vary_ranking import first_by_beta, vary
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


def test_the_errors_of_car_agree_with_a_bootstrap_over_instructions():
    r, loss = rewards_and_losses()
    means, covariance = car_of_samples(r, loss, BETA)
    plain = bootstrapped(r, loss)
    assert means == pytest.approx(car(r.mean(0), loss.mean(0), BETA))
    assert np.sqrt(np.diag(covariance)) == pytest.approx(plain.std(0, ddof=1), rel=0.06)
    errors = np.sqrt(np.diag(covariance))
    assert np.corrcoef(plain, rowvar=False) == pytest.approx(covariance / np.outer(errors, errors), abs=0.06)


def test_pairing_makes_the_error_of_a_difference_smaller():
    r, loss = rewards_and_losses(teachers=2)
    _, covariance = car_of_samples(r, loss, BETA)
    paired = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert paired < 0.8 * (covariance[0, 0] + covariance[1, 1])


@pytest.mark.parametrize("z", [0.5, 1.5, 2.5, 4])
def test_for_two_teachers_the_probability_equals_an_integral_over_the_unknown_spread(z):
    # a difference d with error 1: d ~ N(0, 1 / B), its true value N(d (1 - B), 1 - B), B uniform
    weight = lambda b: stats.norm.pdf(z, scale=b**-0.5)  # noqa: E731
    ahead = lambda b: weight(b) * stats.norm.cdf(z * (1 - b) ** 0.5)  # noqa: E731
    by_hand = integrate.quad(ahead, 0, 1)[0] / integrate.quad(weight, 0, 1)[0]
    means, covariance = np.array([[1.0, 1 + 0.3 * z]]), np.diag([0.02, 0.07])
    assert p_ahead(means, covariance)[0, 1, 0] == pytest.approx(by_hand, abs=0.005)
    assert p_highest(means, covariance)[0] == pytest.approx([1 - by_hand, by_hand], abs=0.015)


def test_shrunk_cars_equal_those_of_the_best_known_spread_with_many_teachers():
    # equal errors and 400 teachers: B is known almost exactly; shrinkage is the error's variance over the total
    rng = np.random.default_rng(0)
    measured = rng.normal(scale=2.0, size=400)[None] + rng.normal(size=(1, 400))
    shrunk = true_cars(measured, np.eye(400), 300)[0].mean(0)
    centered = measured[0] - measured.mean()
    assert np.polyfit(centered, shrunk - shrunk.mean(), 1)[0] == pytest.approx(1 - 1 / centered.var(ddof=1), abs=0.03)


def test_teachers_far_behind_do_not_make_a_small_lead_look_large():
    means, covariance = np.array([[1.0, 0.7, -50, -80, -90]]), np.eye(5) * 0.01  # the first two: z = 2.1
    assert p_highest(means, covariance)[0, 0] == pytest.approx(p_highest(means[:, :2], covariance[:2, :2])[0, 0])


def study(rng, n, gaps, noise):
    """CARs and their covariance: the same hard instructions for all, and rewards with this noise. Means: 1 + gaps."""
    size = (n, len(gaps))
    e = {
        "normal": lambda: rng.normal(size=size),
        "t3": lambda: rng.standard_t(3, size),
        "disasters": lambda: 0.5 * rng.normal(size=size) - 10 * ((rng.random(size) < 0.02) - 0.02),
    }[noise]()
    hard = rng.normal(size=(n, 1))
    loss = np.abs(0.1 * hard + 0.3 * rng.normal(size=size))
    expected = 0.1**0.5 * (2 / np.pi) ** 0.5
    return car_of_samples(2 * (1 + np.array(gaps)) + 0.7 * hard + e, 1 + loss - expected, 1.0)


def settle(studies, rng, n, noise, draw_gaps):
    """Of simulated studies: shares that are settled, and settled for the truly best; mean p_highest and its truth."""
    rows = []
    for _ in range(studies):
        gaps = draw_gaps(rng)
        means, covariance = study(rng, n, gaps, noise)
        first = means.argmax()
        p, best = p_highest(means[None], covariance, 2000)[0, first], gaps[first] == max(gaps)
        rows.append((p >= 0.95 and n >= 100, p >= 0.95 and n >= 100 and best, p, best))
    return np.array(rows, float).mean(0)


POPULATIONS = {
    "gaps of .01": lambda k: lambda rng: -0.01 * np.arange(k),
    "gaps of .1": lambda k: lambda rng: -0.1 * np.arange(k),
    "drawn": lambda k: lambda rng: rng.normal(size=k) * rng.choice([0.03, 0.1, 0.3]),
}
NOISES = ("normal", "t3", "disasters")


def equal_teachers(k):
    return lambda rng: np.zeros(k)


def two_equal_ones_ahead(k):
    return lambda rng: np.array([0, 0, *(-1 - 0.3 * np.arange(k - 2))])


def check_calibration(studies, counts, sizes):
    """Settled verdicts name the best teacher; those about equal teachers are rare; probabilities are not too high."""
    rng = np.random.default_rng(3)
    table = {}
    for noise in NOISES:
        for k in counts:
            for n in sizes:
                for equal in (equal_teachers, two_equal_ones_ahead):
                    false = settle(studies, rng, n, noise, equal(k))[0]
                    print(f"{equal.__name__}, {noise}, {k} teachers, n {n}: settled {false:.3f}")
                    assert false <= 0.05 + 2 * (0.05 / studies) ** 0.5
                for name, population in POPULATIONS.items():
                    table[name, noise, k, n] = settle(studies, rng, n, noise, population(k))
                    print(name, noise, k, n, "settled, right, claimed, true:", table[name, noise, k, n].round(3))
    settled, right, claimed, true = np.mean(list(table.values()), axis=0)
    print(f"all: settled {settled:.3f}, of these right {right / settled:.3f}, claimed {claimed:.3f}, true {true:.3f}")
    assert settled > 0.05 and right >= 0.95 * settled and claimed <= true + 0.02
    for noise in NOISES:
        of_noise = np.mean([row for key, row in table.items() if key[1] == noise], axis=0)
        assert of_noise[1] >= 0.95 * of_noise[0] - 0.01


def test_settled_rankings_name_the_best_teacher_and_equal_teachers_are_not_settled():
    check_calibration(studies=40, counts=(2, 6), sizes=(100,))


@pytest.mark.slow
def test_settled_rankings_name_the_best_teacher_for_all_numbers_of_teachers_and_instructions():
    check_calibration(studies=100, counts=(2, 6, 19), sizes=(100, 300))  # fewer than 100 instructions never settle


def test_nine_of_ten_samples_of_the_computed_size_are_settled():
    rng = np.random.default_rng(4)
    gaps = [0.3, 0, -0.2]
    needed = n_needed(400, *study(rng, 400, gaps, "normal"), 0.95)
    settled = settle(60, rng, needed, "normal", lambda rng: np.array(gaps))
    assert 100 <= needed < 1000 and settled[1] > 0.75


def test_each_teacher_has_an_error_a_probability_and_a_range_of_ranks():
    rows = stability_rows("b", ["x", "y", "z"], np.array([1.0, 5.0, 1.1]), np.diag([0.01, 0.04, 0.01]))
    assert [r["teacher"] for r in rows] == ["y", "z", "x"]
    assert [r["p_highest"] for r in rows] == pytest.approx([1, 0, 0], abs=1e-3)
    assert [r["car_se"] for r in rows] == pytest.approx([0.2, 0.1, 0.1])
    assert [(r["rank_low"], r["rank_high"]) for r in rows] == [(1, 1), (2, 3), (2, 3)]


def test_the_advice_names_the_result_its_conditions_and_the_number_of_instructions():
    clear = sample_size(["x", "y"], 500, np.array([1.0, 3.0]), np.diag([0.02, 0.02]), 0.95)
    assert clear["n_needed"] < 500 and clear["tied"] == ""
    known = "y has the highest CAR with a probability above 99 % (500 instructions)"
    enough = f"90% of samples of about {clear['n_needed']} instructions would settle it."
    assert verdict(clear, 3.0, []) == {"settled": True, "advice": f"{known}: settled. {enough}"}
    assert verdict(clear, -0.6, []) == {
        "settled": False,
        "advice": f"{known}, but its mean reward is negative, and then a larger loss raises CAR: not settled.",
    }
    other = {"settled": False, "advice": f"{known}, but other settings of CAR have another first teacher: not settled."}
    assert verdict(clear, 3.0, ["x"]) == other
    few = verdict(clear | {"n": 99}, 3.0, [])
    assert not few["settled"] and few["advice"].endswith("too few to settle anything: use at least 100.")
    close = sample_size(["x", "y"], 500, np.array([1.0, 1.2]), np.diag([0.01, 0.01]), 0.95)
    assert close["tied"] == "x" and close["target"] == 0.95 and close["n_needed"] > 500
    advice = verdict(close, 1.2, [])["advice"]
    assert f"If the CARs are as estimated, 90% of samples of about {close['n_needed']} instructions" in advice
    same = sample_size(["x", "y"], 500, np.array([1.0, 1.0]), np.full((2, 2), 0.1), 0.95)
    assert (same["p_highest"], same["n_needed"], same["tied"]) == (0, None, "y")
    assert verdict(same, 1.0, [])["advice"].endswith("not settled. Even a million may not settle it.")
    single = sample_size(["x"], 500, np.array([1.0]), np.array([[0.1]]), 0.95)
    assert single["p_highest"] == 1 and single["tau"] == 1 and verdict(single, 1.0, [])["settled"]


def test_the_tied_teachers_are_those_that_the_first_one_is_not_clearly_ahead_of():
    covariance = np.eye(4) * 0.01
    assert tied(np.array([0.0, 2.0, 1.8, 1.9]), covariance, 0.95).tolist() == [3, 2]
    assert tied(np.array([0.0, 5.0, 1.8, 1.9]), covariance, 0.95).tolist() == []
    assert 0.9 < mean_tau(np.arange(4) * 9.0, covariance) <= 1


def test_the_intervals_of_beta_are_exact():
    # the loss of y is far higher: 4 (1 + b) = 3 (1 + 4 b) at b = 1 / 8
    columns = {"base": "b", "teacher": ["x", "y"], "rank": [1, 2], "loss": [1.0, 4.0]}
    table = pl.DataFrame({**columns, "reward:rm": [3.0, 4.0], "sigmoid:rm": [0.98, 0.95]})
    rows = vary(table)
    found = [tuple(row[name] for name in ("transform", "beta_from", "beta_to", "first")) for row in rows]
    assert found == [("none", 0, 0.125, "y"), ("none", 0.125, inf, "x"), ("sigmoid", 0, inf, "x")]
    sentence = "By rm: y for beta below 0.12, then x. By the sigmoid of rm: x for every beta."
    assert in_words(pl.DataFrame(rows)) == sentence
    settings = pl.DataFrame(rows)
    assert other_firsts(settings, "x") == ["y"]  # .125 is in the stated range from .1
    assert other_firsts(settings.filter(transform="sigmoid"), "x") == []
    assert (
        other_firsts(settings.with_columns(beta_from=pl.col("beta_from") / 2, beta_to=pl.col("beta_to") / 2), "x") == []
    )


def test_the_parts_of_car_show_whether_the_reward_or_the_loss_orders_the_teachers():
    # CAR at beta 1: 1 / 2, 2 / 5, 4 / 16, in the order of the losses and opposite to the rewards
    parts = parts_of_car(np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 15.0]), 1.0)
    assert (parts["tau_reward"], parts["tau_loss"]) == pytest.approx((-1, 1))
    assert parts["spread_reward"] == pytest.approx(np.log(2))  # logs 0, 1, 2 times log 2
    assert parts["spread_loss"] == pytest.approx(np.std(np.log([2, 5, 16]), ddof=1))
    shifted = parts_of_car(np.array([-1.0, 2.0, 2.0]), np.array([1.0, 4.0, 4.0]), 1.0)
    assert shifted["spread_reward"] is None and shifted["tau_reward"] == pytest.approx(1)
    assert parts_of_car(np.array([1.0, 1.0]), np.array([2.0, 2.0]), 1.0)["tau_loss"] is None
    assert set(parts_of_car(np.array([1.0]), np.array([2.0]), 1.0).values()) == {None}


@pytest.mark.parametrize("shift", [0, -1, -3])
def test_the_intervals_of_beta_agree_with_a_fine_grid(shift):
    rng = np.random.default_rng(8)
    for _ in range(20):
        r, loss = rng.normal(size=6) + 1 + shift, rng.uniform(0.2, 5, 6)
        found = first_by_beta(r, loss)
        for beta in np.concatenate([np.linspace(0, 3, 100), np.geomspace(3, 1e6, 50)]):
            (first,) = [
                i for (start, i), (end, _) in zip(found, [*found[1:], (inf, 0)], strict=True) if start <= beta < end
            ]
            values = car(r, loss, beta)
            assert values[first] == pytest.approx(values.max(), rel=1e-6, abs=1e-12)


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
    firsts = {"base": "x", "reward_model": "rm", "transform": "none", "beta_from": 0.0, "beta_to": inf, "first": "b"}
    pl.DataFrame([firsts]).write_csv(tmp_path / "sensitivity.csv")
    command = ["x", "--car", settings, "--compared", "a", "b", "--p-highest", "0.9", "--metrics", *map(str, paths)]
    command += ["--sensitivity", str(tmp_path / "sensitivity.csv")]
    monkeypatch.setattr("sys.argv", [*command, "--output-stability", str(out[0]), "--output-sample-size", str(out[1])])
    assess_ranking.main()
    assert pl.read_csv(out[1])["n"].to_list() == [58]
    keep = [i for i in range(60) if i not in (3, 5)]
    cars = car((1 / (1 + np.exp(-r[keep]))).mean(0), loss[keep].mean(0), BETA)
    got = dict(pl.read_csv(out[0]).select("teacher", "car").iter_rows())
    assert got == pytest.approx({"a": cars[0], "b": cars[1]})
