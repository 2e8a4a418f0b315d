"""The metrics of a table compared with CAR, with the loss and with transfer: the difference of their mean rho."""

import numpy as np
import polars as pl

from scripts.correlations.correlation import resampled_rhos
from scripts.correlations.metric_differences import difference
from scripts.correlations.pairs import column, signed, stacked
from scripts.evidence.correlate_table import KEY, groups_of
from scripts.evidence.evidence_tables import Evidence
from scripts.evidence.pooling import interval_over_tasks, pooled_over

REFERENCES = ("car", "loss", "ppl_self", "transfer")  # chosen before, so that few comparisons are made


def compare_table(table: Evidence, correlations: list[dict]) -> list[dict]:
    """A row per reference and other metric, over the bases and tasks where no teacher lacks either of them.

    Over teachers with the interval and the test of a study, over tasks with an interval only; no row if the table is
    too small for both. `correlations` are the rows of correlate_table.
    """
    rhos = {(row["metric"], row["task"], row["base"]): row["rho"] for row in correlations}
    groups, resampled, rows = groups_of(table), {}, []
    for a, b in pairs_of_metrics(list(table.directions)):
        both = [group for group in groups if complete(group, a) and complete(group, b)]
        over = pooled_over(both) if both else None
        row = {"metric_a": a, "metric_b": b, "n_groups": len(both), "over": over}
        if over == "teachers":
            rows.append(row | over_teachers(both, a, b, table.directions, resampled))
        elif over == "tasks":
            rows.append(row | over_tasks(both, a, b, rhos))
    return rows


def pairs_of_metrics(metrics: list[str]) -> list[tuple[str, str]]:
    """Each reference with each other metric, once. CAR with other betas is left out: it is hardly another metric."""
    references = [name for name in REFERENCES if name in metrics]
    others = [name for name in metrics if name not in references and not name.startswith("car:beta")]
    return [(a, b) for i, a in enumerate(references) for b in [*references[i + 1 :], *others]]


def complete(group: pl.DataFrame, metric: str) -> bool:
    """Whether all teachers of the group have the metric, and neither it nor AP is the same for all of them."""
    return all(np.isfinite(column(group, name)).all() and np.ptp(column(group, name)) > 0 for name in (metric, "ap"))


def over_teachers(groups: list[pl.DataFrame], a: str, b: str, directions: dict[str, str], resampled: dict) -> dict:
    """The difference of two mean rhos as a study tests it. `resampled` keeps the bootstraps for further pairs."""
    bases = tuple(group["base"][0] for group in groups)
    for name in (a, b):
        if (name, bases) not in resampled:
            (resampled[name, bases],) = resampled_rhos(groups, [name], directions)
    x, y = signed(groups, a, directions), signed(groups, b, directions)
    return difference(x, y, stacked(groups, "ap"), resampled[a, bases] - resampled[b, bases])


def over_tasks(groups: list[pl.DataFrame], a: str, b: str, rhos: dict[tuple, float]) -> dict:
    """The difference of two mean rhos, with its interval over tasks; `rhos` by metric, task and base."""
    names = [group["base"][0].split(KEY) for group in groups]
    differences = np.array([rhos[a, *name] - rhos[b, *name] for name in names])
    low, high = interval_over_tasks(differences, [task for task, _ in names])
    n = min(group.height for group in groups)
    return {"n": n, "difference": float(differences.mean()), "low": low, "high": high}
