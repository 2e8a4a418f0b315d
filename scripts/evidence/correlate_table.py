"""rho of each metric of a table with AP, for each base and task, and on average over them."""

import numpy as np
import polars as pl

from scripts.correlations.correlation import average_row, correlate, point_estimates
from scripts.evidence.evidence_tables import GROUP, Evidence
from scripts.evidence.pooling import interval_over_tasks, pooled_over, too_few
from scripts.metrics.rank_statistics import regret

KEY = "\0"  # between task and base, where both together are the name of a base


def groups_of(table: Evidence) -> list[pl.DataFrame]:
    """The teachers of each base and task; in each group `base` has the names of task and base."""
    pairs = table.pairs.with_columns(base=pl.concat_str(GROUP, separator=KEY))
    return [group for _, group in pairs.group_by("base", maintain_order=True)]


def with_metric(groups: list[pl.DataFrame], metric: str) -> list[pl.DataFrame]:
    """The groups without the teachers that lack the metric; groups of fewer than two teachers are left out."""
    known = [group.drop_nulls(metric) if group[metric].null_count() else group for group in groups]
    return [group for group in known if group.height > 1]


def correlate_table(table: Evidence) -> list[dict]:
    """For each metric a row per base and task, and the row `average`, the mean over those that have a rho.

    without: teachers that lack the metric; random_regret: AP points that a random choice loses on average. n_groups of
    the row `average`: how many rhos it is the mean of; over: what its interval is resampled over.
    """
    groups, rows = groups_of(table), []
    sizes = {group["base"][0]: group.height for group in groups}
    for metric in table.directions:
        of_metric = rows_of(with_metric(groups, metric), metric, table.directions)
        for row in of_metric:
            if row["base"] in sizes:
                row["without"] = sizes[row["base"]] - row["n"]
                row["task"], row["base"] = row["base"].split(KEY)
            else:
                row |= {"task": None, "without": max(other["without"] for other in of_metric[:-1])}
        rows += of_metric
    return rows


def rows_of(groups: list[pl.DataFrame], metric: str, directions: dict[str, str]) -> list[dict]:
    """The rows of one metric. With too few teachers for intervals of rho, only its value is given."""
    if not groups:
        return []
    if pooled_over(groups) == "teachers":
        rows = correlate(pl.concat(groups), [metric], directions)
        rows[-1] |= {"over": "teachers", "n_groups": len(groups), "n_max": groups[0].height}
    else:
        rows = [point_estimates(group, metric, directions) for group in groups]
        rows += average_of(rows, groups)
    for row, group in zip(rows, groups, strict=False):
        row["random_regret"] = random_regret(group)
    if rows[-1]["base"] == "average":
        kept = [row["random_regret"] for row in rows[:-1] if row["rho"] is not None]
        rows[-1]["random_regret"] = float(np.mean(kept))
    return rows


def average_of(rows: list[dict], groups: list[pl.DataFrame]) -> list[dict]:
    """The row `average` over the groups that have a rho; empty if none has."""
    kept = [i for i, row in enumerate(rows) if row["rho"] is not None]
    if not kept:
        return []
    rows, groups = [rows[i] for i in kept], [groups[i] for i in kept]
    average = average_row(rows) | {"n_groups": len(rows), "over": pooled_over(groups), "note": None}
    average |= {"n": min(row["n"] for row in rows), "n_max": max(row["n"] for row in rows)}
    if average["over"] is None:
        return [average | {"note": too_few(groups)}]
    rhos, tasks = np.array([row["rho"] for row in rows]), [group["task"][0] for group in groups]
    low, high = interval_over_tasks(rhos, tasks)
    return [average | {"low": low, "high": high}]


def random_regret(group: pl.DataFrame) -> float:
    """AP points that are lost on average by choosing a teacher at random: the regret of a metric with only ties."""
    return regret(np.zeros(group.height), group["ap"].to_numpy(), 1)
