"""Metrics that follow from a table itself: transfer, CAR, and the difference of standardized reward and loss."""

import polars as pl

from scripts.correlations.pairs import with_transfer
from scripts.evidence.evidence_tables import GROUP, Evidence
from scripts.metrics.car import BETA_RANGE, car

Z = "z(reward) - z(loss)"
MEANINGS = {
    "transfer": "mean AP of the teacher with the other base models, same task",
    "car": "reward / (1 + beta loss), beta 1",
    Z: "both standardized over the teachers",
} | {f"car:beta {beta:g}": f"reward / (1 + beta loss), beta {beta:g}" for beta in BETA_RANGE}


def with_combinations(table: Evidence) -> Evidence:
    """The table with `transfer` where a task has several bases, and CAR and Z where it has a reward and a loss."""
    pairs, directions = table.pairs, dict(table.directions)
    of_tasks = [with_transfer(of_task)[0] for _, of_task in pairs.group_by("task", maintain_order=True)]
    pairs = pl.concat(of_tasks, how="diagonal")
    if "transfer" in pairs.columns:
        directions["transfer"] = "higher"
    if combine := table.facts.get("combine"):
        reward, loss = pl.col(combine["reward"]), loss_of(combine)
        cars = {name_of_car(beta): car(reward, loss, beta) for beta in (1, *BETA_RANGE)}
        pairs = pairs.with_columns(**cars, **{Z: standardized(reward) - standardized(loss)})
        directions |= dict.fromkeys([*cars, Z], "higher")
    return table._replace(pairs=pairs, directions=directions)


def loss_of(combine: dict) -> pl.Expr:
    """L in nats per token. Of a mean perplexity only its logarithm is known, which is at least the mean loss."""
    return pl.col(combine["loss"]) if "loss" in combine else pl.col(combine["perplexity"]).log()


def name_of_car(beta: float) -> str:
    """`car` is that with beta 1, the default of a study."""
    return "car" if beta == 1 else f"car:beta {beta:g}"


def standardized(values: pl.Expr) -> pl.Expr:
    """z over the teachers of a base and task: the mean and the unit of a reward model do not matter."""
    return (values - values.mean().over(GROUP)) / values.std().over(GROUP)
