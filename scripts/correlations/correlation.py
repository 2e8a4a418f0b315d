"""The correlation of metrics with average performance (AP), for each base and on average."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from scipy import stats

from scripts.correlations.pairs import DECLARED, column, direction, signed, stacked
from scripts.metrics.rank_statistics import MIN_TEACHERS, bootstrap, interval, noise_ceiling, partial_rho, regret, rho

MEANS = ("rho", "raw_rho", "tau_b", "top1_regret", "top3_regret", "partial_rho", "ceiling")
SCHEMA = {"base": pl.String, "metric": pl.String, "better": pl.String, "n": pl.Int64, "rho": pl.Float64}
SCHEMA |= dict.fromkeys(("low", "high", *MEANS[1:]), pl.Float64) | {"note": pl.String}


def correlate(pairs: pl.DataFrame, metrics: list[str], directions: Mapping[str, str] = DECLARED) -> list[dict]:
    """For each metric a row per base and the row `average`, the mean over bases; `note` says why a value is missing.

    `pairs` has the same teachers in the same order for every base. `directions`: higher or lower, for metrics that
    definitions.py does not have.
    """
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    if not bases:
        return []
    estimates = {metric: [point_estimates(frame, metric, directions) for frame in bases] for metric in metrics}
    usable = [metric for metric in metrics if any(row["rho"] is not None for row in estimates[metric])]
    resampled = dict(zip(usable, resampled_rhos(bases, usable, directions), strict=True))
    rows = []
    for metric in metrics:
        of_metric = [*estimates[metric], average_row(estimates[metric])]
        rows += with_intervals(of_metric, resampled[metric]) if metric in resampled else of_metric
    return rows


def resampled_rhos(
    bases: list[pl.DataFrame], metrics: list[str], directions: Mapping[str, str] = DECLARED
) -> np.ndarray:
    """The bootstrap's rho of each metric, (metrics, resamples, bases); NaN for a base without the metric."""
    if not metrics:
        return np.empty((0, 0, 0))
    values = np.stack([signed(bases, metric, directions) for metric in metrics])
    return bootstrap(values, stacked(bases, "ap"))


def with_intervals(rows: list[dict], resampled: np.ndarray) -> list[dict]:
    """One metric's rows of each base and of the average, with low and high; `resampled` is (resamples, bases)."""
    columns = [*resampled.T, resampled.mean(-1)]
    return [
        row if row["rho"] is None else row | dict(zip(("low", "high"), interval(values), strict=True))
        for row, values in zip(rows, columns, strict=True)
    ]


def average_row(rows: list[dict]) -> dict:
    """The row `average` of one metric: the mean over bases; None if a base has no value."""
    notes = [row["note"] for row in sorted(rows, key=lambda row: row["rho"] is not None) if row["note"]]
    values = {name: [row.get(name) for row in rows] for name in MEANS}
    means = {name: None if None in of_name else float(np.mean(of_name)) for name, of_name in values.items()}
    return {**rows[0], "base": "average", "note": notes[0] if notes else None, **means}


def point_estimates(pairs: pl.DataFrame, metric: str, directions: Mapping[str, str] = DECLARED) -> dict:
    """The correlation of one metric with AP over the teachers of one base, without intervals."""
    n = pairs.height
    row = {"base": pairs["base"][0], "metric": metric, "better": direction(metric, directions), "n": n}
    row |= {"rho": None, "note": None}
    for name in (metric, "ap"):
        values = column(pairs, name)
        if not np.isfinite(values).all():
            return row | {"note": f"n/a: {name} is missing for a teacher"}
        if (values == values[0]).all():
            return row | {"note": f"n/a: {name} is the same for every teacher"}
    ap, raw = column(pairs, "ap"), column(pairs, metric)
    oriented = raw if row["better"] == "higher" else -raw
    partial = np.nan  # if lengths are not known
    if "response_length" in pairs.columns:
        partial = partial_rho(oriented, ap, column(pairs, "response_length"))
    return row | {
        "rho": float(rho(oriented, ap)),
        "raw_rho": float(rho(raw, ap)),
        "tau_b": float(stats.kendalltau(oriented, ap).statistic),
        "top1_regret": regret(oriented, ap, 1),
        "top3_regret": regret(oriented, ap, 3),
        "partial_rho": None if np.isnan(partial) else partial,
        "ceiling": noise_ceiling(ap, column(pairs, "ap_se")),
        "note": None if n >= MIN_TEACHERS else f"too few teachers ({n}) to conclude anything",
    }
