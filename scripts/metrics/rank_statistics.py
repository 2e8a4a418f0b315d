"""Rank correlations of metrics with average performance (AP), and their uncertainty.

Arrays have teachers on the last axis, all in the same order. Metrics are signed: larger is better.
"""

from math import comb

import numpy as np
from scipy.stats import rankdata

MIN_TEACHERS = 10  # with fewer, intervals of rho do not reach their stated coverage (simulated for 6 to 19 teachers)
RESAMPLES, PERMUTATIONS, SEED = 10_000, 2_000, 0


def rho(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho along the last axis; ties have their mean rank; NaN if one side is constant."""
    return correlation(rankdata(x, axis=-1), rankdata(y, axis=-1))


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation along the last axis; NaN if one side is constant."""
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    norm = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, (a * b).sum(-1) / norm, np.nan)


def bootstrap(metrics: np.ndarray, ap: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """rho of metrics (metrics, bases, n) with AP (bases, n) in resamples of teachers: (metrics, resamples, bases).

    All bases and metrics have the same teachers in the same resample, so that means over bases and differences of
    metrics are paired. The rho is that with measured AP, whose error is already in the data: to add it to each resample
    would count it twice and pull the interval towards 0.
    """
    rng = np.random.default_rng(SEED)
    n = ap.shape[-1]
    drawn = rng.integers(n, size=(resamples, n))
    counts = (drawn[:, :, None] == np.arange(n)).sum(1)
    values = np.empty((len(metrics), resamples, len(ap)))
    for base, y in enumerate(ap):
        ranks = resampled_ranks(y, drawn, counts)
        for metric, x in enumerate(metrics[:, base]):
            values[metric, :, base] = correlation(resampled_ranks(x, drawn, counts), ranks)
    return values


def resampled_ranks(values: np.ndarray, drawn: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """rankdata(values[drawn], axis=-1), computed from how often each smaller and each equal value was drawn."""
    below = (values[:, None] > values) + (values[:, None] == values) / 2
    return np.take_along_axis(counts @ below.T + 0.5, drawn, axis=-1)


def noise_ceiling(ap: np.ndarray, ap_se: np.ndarray) -> float | None:
    """The rho with measured AP (n,) that the true AP would have, given its standard errors; None if they are 0 or NaN.

    Pearson's correlation is the root of the share of the variance that is not error; for normal values Spearman's is 6
    / pi arcsin(half of it).
    """
    if not ap_se.any() or np.isnan(ap_se).any() or len(ap) < 2 or not ap.var():
        return None
    share = max(0.0, 1 - (ap_se**2).mean() / ap.var(ddof=1))
    return float(6 / np.pi * np.arcsin(share**0.5 / 2))


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values. A resample of only one teacher has no rho and is left out."""
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def interval_of_printed(rho: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a printed rho, of which only n is known (Bonett and Wright, Psychometrika 65, 2000)."""
    z, error = np.arctanh(rho), np.sqrt((1 + rho**2 / 2) / (n - 3))
    return np.tanh(z - 1.959964 * error), np.tanh(z + 1.959964 * error)


def permutation_p(a: np.ndarray, b: np.ndarray, ap: np.ndarray, permutations: int = PERMUTATIONS) -> float:
    """The p-value of equal rho(a, ap) and rho(b, ap), as means over bases; arrays are (bases, n).

    If both metrics are equally good, a teacher's ranks by a and by b can be swapped. Each permutation swaps them for
    random teachers, in all bases at once.
    """
    rng = np.random.default_rng(SEED)
    a, b = rankdata(a, axis=-1), rankdata(b, axis=-1)
    swap = rng.random((permutations, 1, a.shape[-1])) < 0.5
    observed = np.mean(rho(a, ap) - rho(b, ap))
    mixed = rho(np.where(swap, b, a), ap) - rho(np.where(swap, a, b), ap)
    # a NaN (swapped ranks are constant) counts as not smaller
    smaller = np.abs(mixed.mean(-1)) < abs(observed) - 1e-12
    return float((1 + (~smaller).sum()) / (1 + permutations))


def regret(metric: np.ndarray, ap: np.ndarray, top: int) -> float:
    """AP points lost by taking the best of the metric's first `top` teachers, not the best teacher. Arrays: (n,).

    With ties in the metric, the loss is the exact mean over all orders of the tied teachers.
    """
    last = np.sort(metric)[::-1][min(top, len(ap)) - 1]
    certain, tied = ap[metric > last], np.sort(ap[metric == last])
    left = min(top, len(ap)) - len(certain)  # places for some of the tied teachers
    # the i-th of them in ascending order is the best of those taken in comb(i, left - 1) of all choices
    ways = np.array([comb(i, left - 1) for i in range(len(tied))], float)
    best = np.maximum(tied, certain.max()) if len(certain) else tied
    return float(ap.max() - (best * ways).sum() / ways.sum())


def partial_rho(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    """Spearman's partial correlation of x and y given a third variable; NaN if x or y has the same ranks as it."""
    xy, xz, yz = float(rho(x, y)), float(rho(x, given)), float(rho(y, given))
    left = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / left**0.5 if left > 1e-12 else float("nan")
