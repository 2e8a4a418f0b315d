"""The correlation of metrics with average performance (AP), for each base and on average."""

import numpy as np
import polars as pl
from scipy import stats

from scripts.correlations.pairs import column, signed, stacked
from scripts.metrics.definitions import better
from scripts.metrics.rank_statistics import ENOUGH_TEACHERS, bootstrap, interval, partial_rho, regret, rho

MEANS = ("rho", "raw_rho", "tau_b", "top1_regret", "top3_regret", "partial_rho")
SCHEMA = {"base": pl.String, "metric": pl.String, "better": pl.String, "n": pl.Int64, "rho": pl.Float64}
SCHEMA |= dict.fromkeys(("low", "high", *MEANS[1:]), pl.Float64) | {"note": pl.String}


def correlate(pairs: pl.DataFrame, metrics: list[str]) -> list[dict]:
    """For each metric a row per base and the row `average`, the mean over bases; the cause where there is no value.

    `pairs` has the same teachers in the same order for every base.
    """
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    if not bases:
        return []
    rows = {metric: [describe(of_base, metric) for of_base in bases] for metric in metrics}
    usable = [metric for metric in metrics if any(row["rho"] is not None for row in rows[metric])]
    averages = {metric: mean_of(rows[metric]) for metric in metrics}
    for metric, values in zip(usable, drawn_rhos(bases, usable), strict=True):
        for row, of_base in zip([*rows[metric], averages[metric]], [*values.T, values.mean(-1)], strict=True):
            if row["rho"] is not None:
                row["low"], row["high"] = interval(of_base)
    return [row for metric in metrics for row in (*rows[metric], averages[metric])]


def drawn_rhos(bases: list[pl.DataFrame], metrics: list[str]) -> np.ndarray:
    """The bootstrap's rho of each metric, (metrics, resamples, bases); NaN where a base does not have the metric."""
    if not metrics:
        return np.empty((0, 0, 0))
    values = np.stack([signed(bases, metric) for metric in metrics])
    return bootstrap(values, stacked(bases, "ap"), stacked(bases, "ap_se"))


def mean_of(rows: list[dict]) -> dict:
    """The mean over bases of a metric's values; none where a base has none."""
    notes = [row["note"] for row in sorted(rows, key=lambda row: row["rho"] is not None) if row["note"]]
    values = {name: [row.get(name) for row in rows] for name in MEANS}
    means = {name: None if None in of_name else float(np.mean(of_name)) for name, of_name in values.items()}
    return {**rows[0], "base": "average", "note": notes[0] if notes else None, **means}


def describe(pairs: pl.DataFrame, metric: str) -> dict:
    """What one metric is worth for the teachers of one base, as point estimates."""
    n = pairs.height
    row = {"base": pairs["base"][0], "metric": metric, "better": better(metric), "n": n, "rho": None, "note": None}
    for name in (metric, "ap"):
        values = pairs[name].cast(float)
        if values.null_count() or not values.is_finite().all():
            return row | {"note": f"n/a: {name} is missing for a teacher"}
        if values.n_unique() < 2:
            return row | {"note": f"n/a: {name} is the same for every teacher"}
    ap, raw = column(pairs, "ap"), column(pairs, metric)
    signed = raw if row["better"] == "higher" else -raw
    partial = np.nan  # where lengths are not known
    if "response_length" in pairs.columns:
        partial = partial_rho(signed, ap, column(pairs, "response_length"))
    return row | {
        "rho": float(rho(signed, ap)),
        "raw_rho": float(rho(raw, ap)),
        "tau_b": float(stats.kendalltau(signed, ap).statistic),
        "top1_regret": regret(signed, ap, 1),
        "top3_regret": regret(signed, ap, 3),
        "partial_rho": None if np.isnan(partial) else partial,
        "note": None if n >= ENOUGH_TEACHERS else f"too few teachers ({n}) to conclude anything",
    }
