"""Correlations of metrics with AP, their intervals and their differences."""

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from conftest import ROOT
from scripts.correlations.ap_errors import ap_error
from scripts.correlations.compare_metrics import compare
from scripts.correlations.correlation import correlate, point_estimates
from scripts.correlations.pairs import join_pairs, with_transfer
from scripts.metrics.rank_statistics import (
    SEED,
    bootstrap,
    interval,
    noise_ceiling,
    partial_rho,
    permutation_p,
    regret,
    resampled_ranks,
    rho,
)

RNG = np.random.default_rng(7)


def pairs(metric, ap, name="car", base="b", ap_se=0.0):
    frame = pl.DataFrame({"base": base, name: metric, "ap": ap, "ap_se": ap_se})
    return frame.with_columns(teacher=pl.format("t{}", pl.int_range(pl.len())), response_length=pl.int_range(pl.len()))


def test_rho_with_ties_equals_the_value_computed_by_hand():
    # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5
    got = point_estimates(pairs([0.1, 0.2, 0.2, 0.9], [10, 30, 20, 40]), "car")
    assert got["rho"] == got["raw_rho"] == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert got["n"] == 4 and got["note"] == "too few teachers (4) to conclude anything"


def test_tau_b_counts_a_tied_pair_neither_way():
    # 5 concordant pairs of 6, one tied in the metric: 5 / sqrt(5 * 6)
    got = point_estimates(pairs([1.0, 2.0, 2.0, 3.0], [1, 2, 3, 4]), "car")
    assert got["tau_b"] == pytest.approx(5 / 30**0.5)


def test_rho_is_signed_by_the_declared_direction_and_the_raw_sign_is_kept():
    got = point_estimates(pairs([3.0, 2.0, 1.0], [1, 2, 3], "loss"), "loss")
    assert (got["better"], got["rho"], got["raw_rho"]) == ("lower", pytest.approx(1), pytest.approx(-1))
    assert got["tau_b"] == pytest.approx(1) and got["top1_regret"] == 0


def test_with_ten_teachers_there_is_no_note():
    assert point_estimates(pairs([float(i) for i in range(10)], list(range(10))), "car")["note"] is None


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    "metric, cause",
    [([1.0, 1.0, 1.0], "the same for every"), ([1.0, float("nan"), 2.0], "missing"), ([1.0, None, 2.0], "missing")],
)
def test_a_constant_or_missing_metric_has_a_note_and_no_rho(metric, cause):
    rows = correlate(pairs(metric, [1, 2, 3]), ["car"])
    assert [row["rho"] for row in rows] == [None, None] and all(cause in row["note"] for row in rows)


def test_the_average_row_is_the_mean_over_bases_and_empty_if_a_base_has_no_value():
    one, two = pairs([1.0, 2.0, 3.0], [1, 2, 3], base="a"), pairs([1.0, 3.0, 2.0], [1, 2, 3])
    *_, average = correlate(pl.concat([one, two]), ["car"])
    assert (average["base"], average["rho"]) == ("average", pytest.approx(0.75))
    *_, average = correlate(pl.concat([one, pairs([1.0, 1.0, 1.0], [1, 2, 3], base="c")]), ["car"])
    assert average["rho"] is None and "car is the same" in average["note"]


def test_regret_is_the_ap_lost_and_averages_over_all_orders_of_tied_teachers():
    metric, ap = np.array([3.0, 2.0, 1.0, 0.0]), np.array([10.0, 12.0, 17.0, 20.0])
    assert (regret(metric, ap, 1), regret(metric, ap, 3), regret(-metric, ap, 1)) == (10, 3, 0)
    assert regret(np.array([1.0, 1.0, 0.0]), np.array([10.0, 20.0, 15.0]), 1) == 5  # AP 10 or 20
    assert regret(metric[:2], ap[:2], 3) == 0  # fewer teachers than places
    ap = np.array([1.0, 5.0, 3.0, 8.0, 6.0, 9.0])
    for metric in ([2, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1], [3, 3, 2, 2, 2, 0]):
        for top in (1, 3):
            orders = [sorted(order, key=lambda i: -metric[i])[:top] for order in permutations(range(6))]  # stable
            by_hand = np.mean([9 - ap[list(first)].max() for first in orders])
            assert regret(np.array(metric, float), ap, top) == pytest.approx(by_hand)


def test_rho_and_the_resampled_ranks_equal_scipys():
    x, y = RNG.integers(0, 6, (50, 12)), RNG.normal(size=(50, 12))
    assert rho(x, y) == pytest.approx([stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)])
    values, drawn = RNG.integers(0, 6, 12).astype(float), RNG.integers(12, size=(50, 12))
    counts = np.stack([np.bincount(row, minlength=12) for row in drawn])
    assert np.array_equal(resampled_ranks(values, drawn, counts), stats.rankdata(values[drawn], axis=-1))
    assert np.isnan(rho(np.ones(4), np.arange(4)))


def test_the_partial_correlation_equals_that_of_the_residual_ranks():
    x, y, z = RNG.normal(size=(3, 15)) + RNG.normal(size=15)
    ranks = [stats.rankdata(v) for v in (x, y, z)]
    residuals = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    assert partial_rho(x, y, z) == pytest.approx(np.corrcoef(*residuals)[0, 1])
    assert np.isnan(partial_rho(x, y, x))


def test_the_resampled_rhos_are_those_of_the_drawn_teachers_in_all_bases_and_metrics():
    x, ap = RNG.normal(size=(2, 2, 12))
    values = bootstrap(np.stack([x, x]), ap, 50)
    assert values.shape == (2, 50, 2) and np.array_equal(values[0], values[1], equal_nan=True)
    drawn = np.random.default_rng(SEED).integers(12, size=(50, 12))
    for base in (0, 1):
        by_scipy = [stats.spearmanr(x[base, rows], ap[base, rows]).statistic for rows in drawn]
        assert values[0, :, base] == pytest.approx(by_scipy)


def test_the_noise_ceiling_is_the_rho_of_the_true_ap_with_the_measured_one():
    true = RNG.normal(size=100_000)
    for error in (0.3, 1.0):
        measured = true + error * RNG.normal(size=len(true))
        assert noise_ceiling(measured, np.full(len(true), error)) == pytest.approx(float(rho(true, measured)), abs=0.01)
    assert noise_ceiling(true, np.zeros(len(true))) is None  # errors are not known
    assert noise_ceiling(np.array([1.0, 1.1]), np.ones(2)) == 0


def published():
    """The paper's 5 bases x 19 teachers: AlpacaEval 2 LC, Arena-Hard and their mean."""
    scores = pl.read_csv(ROOT / "config/paper/scores.csv")
    return scores.with_columns(ap=pl.mean_horizontal("alpaca_eval_lc", "arena_hard_wr")).sort("base", "teacher")


def test_ap_on_the_other_bases_has_its_known_rho_in_the_papers_table():
    table, metrics = with_transfer(published())
    assert metrics[-1] == "transfer" and "transfer" not in with_transfer(table.filter(base="minitron-4b"))[1]
    within = {b[0]: float(rho(t["transfer"].to_numpy(), t["ap"].to_numpy())) for b, t in table.group_by("base")}
    known = {"qwen2-1.5b": 0.925, "gemma-2-2b": 0.909, "qwen2.5-3b": 0.868, "llama-3.2-3b": 0.935, "minitron-4b": 0.925}
    assert {base: round(value, 3) for base, value in within.items()} == pytest.approx(known, abs=6e-4)
    assert np.mean(list(within.values())) == pytest.approx(0.912, abs=5e-4)


def test_ap_has_the_standard_error_of_a_mean_of_scores():
    teachers = pl.DataFrame({"base": "b", "teacher": ["x", "below"], "rank": [1, None], "car": [1.0, 2.0]})
    performance = pl.DataFrame(
        {"base": "b", "teacher": ["x", "below"], "ap": [3.0, 4.0], "ap_se": 2.5, "a.lc.se": 3.0, "c.wr.se": 4.0}
    )
    got = join_pairs(teachers, performance)
    assert got["teacher"].to_list() == ["x"] and got["ap_se"].to_list() == [2.5]
    with pytest.raises(SystemExit, match="no column ap_se: it is of an older version"):
        join_pairs(teachers, performance.select("base", "teacher", "ap"))
    assert performance.select(ap_error(performance)).to_series().to_list() == [2.5, 2.5]
    one = performance.with_columns(pl.lit(None).alias("c.wr.se"))  # an error of one score is not one of AP
    assert one.select(ap_error(one)).to_series().to_list() == [None, None]
    same = performance.rename({"a.lc.se": "c.accuracy.se"})  # two scores of the same judgments: 3 and 4 add up to 7
    assert same.select(ap_error(same)).to_series().to_list() == [3.5, 3.5]
    with pytest.raises(SystemExit, match="pairs in the ranking: 1, of these with a row here: 0"):
        join_pairs(teachers, performance.filter(teacher="below"))


def test_tables_with_different_teachers_are_refused():
    rows = [(base, teacher, 1, 1.0) for base in "ab" for teacher in "xyz"]
    teachers = pl.DataFrame(rows, schema=["base", "teacher", "rank", "car"], orient="row")
    performance = teachers.select("base", "teacher", ap="car", ap_se=pl.lit(0.0)).filter(
        ~((pl.col("base") == "b") & (pl.col("teacher") == "y"))
    )
    with pytest.raises(SystemExit, match="pairs in the ranking: 6, of these with a row here: 5"):
        join_pairs(teachers, performance)


@pytest.mark.fault(21)
def test_a_metric_with_an_infinite_value_has_a_note_and_no_rho():
    rows = correlate(pairs([1.0, float("inf"), 2.0], [1, 2, 3], "ppl_self"), ["ppl_self"])
    assert all(row["rho"] is None and row["note"] == "n/a: ppl_self is missing for a teacher" for row in rows)


def two_metrics(n, bases=2):
    """Bases whose AP depends on car and not on loss."""
    car = RNG.normal(size=n)
    frames = [pairs(car, car + 0.2 * RNG.normal(size=n), base=str(b)) for b in range(bases)]
    return [frame.with_columns(loss=pl.Series(RNG.normal(size=n))) for frame in frames]


def test_a_difference_has_an_interval_and_a_p_value_for_each_base_and_their_mean():
    rows = compare(two_metrics(19), ["car", "loss"])
    assert [row["base"] for row in rows] == ["0", "1", "average"]
    assert rows[2]["difference"] == pytest.approx((rows[0]["difference"] + rows[1]["difference"]) / 2)
    assert all(row["low"] < row["difference"] < row["high"] for row in rows)
    assert rows[2]["p"] < 0.02
    same, ap = RNG.normal(size=(2, 1, 12))
    assert permutation_p(same, same, ap) == permutation_p(np.ones((1, 12)), same, ap) == 1


def test_with_six_teachers_no_difference_can_be_shown():
    rows = compare(two_metrics(6), ["car", "loss"])
    assert all("p" not in row and "too few teachers (6)" in row["note"] for row in rows)


def draw(n, correlations):
    """AP and metrics (1 base, n) of one simulated study, normal with these Spearman correlations."""
    matrix = 2 * np.sin(np.pi * np.array(correlations) / 6)
    np.fill_diagonal(matrix, 1)
    return [values[None] for values in RNG.multivariate_normal(np.zeros(len(matrix)), matrix, n).T]


def coverage(n, true, error, studies, resamples):
    """Of simulated studies: the share whose interval has the true rho with measured AP, and the mean width.

    `error`: the standard error of AP over its true standard deviation between teachers.
    """
    r = 2 * np.sin(np.pi * true / 6) / (1 + error**2) ** 0.5  # Pearson's, of the metric with measured AP
    target = 6 / np.pi * np.arcsin(r / 2)
    intervals = []
    for _ in range(studies):
        ap, metric = draw(n, [[1, true], [true, 1]])
        measured = ap + error * RNG.normal(size=ap.shape)
        intervals.append(interval(bootstrap(metric[None], measured, resamples)[0, :, 0]))
    low, high = np.array(intervals).T
    return np.mean((low <= target) & (target <= high)), (high - low).mean()


def test_intervals_of_rho_cover_it_with_errors_of_ap():
    assert coverage(19, 0.85, 0.6, studies=150, resamples=300)[0] > 0.89


@pytest.mark.slow
@pytest.mark.parametrize("n", [19, 10])
@pytest.mark.parametrize("true", [0, 0.5, 0.85])
@pytest.mark.parametrize("error", [0, 0.3, 0.6, 1])
def test_intervals_of_rho_have_their_stated_coverage_for_every_error_of_ap(n, true, error):
    covered, width = coverage(n, true, error, studies=500, resamples=500)
    print(f"n = {n}, rho = {true}, error {error}: {covered:.1%} covered, mean width {width:.2f}")
    assert covered >= 0.92


def rejections(correlations, studies=400):
    """The share of simulated studies in which two metrics differ at the 5 % level."""
    return np.mean(
        [permutation_p(a, b, ap, 1000) < 0.05 for ap, a, b in (draw(19, correlations) for _ in range(studies))]
    )


@pytest.mark.slow
def test_the_permutation_test_keeps_its_level_and_has_power():
    level = rejections([[1, 0.87, 0.87], [0.87, 1, 0.76], [0.87, 0.76, 1]])
    power = rejections([[1, 0.90, 0.50], [0.90, 1, 0.50], [0.50, 0.50, 1]])
    print(f"rejects {level:.1%} of equal metrics (rho .87) and {power:.1%} of .90 against .50, n = 19")
    assert level <= 0.08 and power >= 0.5
