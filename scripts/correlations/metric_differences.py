"""The difference of two metrics' rho with average performance (AP), with its interval and test."""

from itertools import combinations

import numpy as np
import polars as pl

from scripts.correlations.correlation import point_estimates, resampled_rhos
from scripts.correlations.pairs import signed, stacked
from scripts.metrics.rank_statistics import MIN_TEACHERS, interval, permutation_p, rho

SCHEMA = {"base": pl.String, "metric_a": pl.String, "metric_b": pl.String, "n": pl.Int64}
SCHEMA |= dict.fromkeys(("difference", "low", "high", "p"), pl.Float64) | {"note": pl.String}


def compare(bases: list[pl.DataFrame], metrics: list[str]) -> list[dict]:
    """A row per pair of metrics and base that has a rho of both, and an average row if all bases have both.

    `bases` has one table per base, all with the same teachers.
    """
    has_rho = {name: [point_estimates(pairs, name)["rho"] is not None for pairs in bases] for name in metrics}
    usable = [name for name in metrics if any(has_rho[name])]
    values = {name: signed(bases, name) for name in usable}
    resampled = dict(zip(usable, resampled_rhos(bases, usable), strict=True))
    rows = []
    for a, b in combinations(usable, 2):
        x, y, differences = values[a], values[b], resampled[a] - resampled[b]
        with_both = [i for i in range(len(bases)) if has_rho[a][i] and has_rho[b][i]]
        groups = [(bases[i]["base"][0], [i]) for i in with_both]
        if len(with_both) == len(bases):
            groups.append(("average", with_both))
        for base, indices in groups:
            row = difference(x[indices], y[indices], stacked(bases, "ap")[indices], differences[:, indices])
            rows.append({"base": base, "metric_a": a, "metric_b": b, **row})
    return rows


def difference(x: np.ndarray, y: np.ndarray, ap: np.ndarray, resampled: np.ndarray) -> dict:
    """rho(x, ap) minus rho(y, ap), averaged over bases, with its interval and p-value.

    x, y and ap are (bases, teachers); `resampled` has the bootstrap's differences, (resamples, bases).
    """
    n = ap.shape[-1]
    low, high = interval(resampled.mean(-1))
    row = {"n": n, "difference": float(np.mean(rho(x, ap) - rho(y, ap))), "low": low, "high": high}
    if n < MIN_TEACHERS:
        return row | {"note": f"too few teachers ({n}) to show a difference"}
    return row | {"p": permutation_p(x, y, ap)}
