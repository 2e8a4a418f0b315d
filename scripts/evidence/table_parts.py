"""Parts of a table that are looked at apart: fewer teachers, some tasks, rewards below and above zero."""

import polars as pl

from scripts.evidence.combined_metrics import Z, with_combinations
from scripts.evidence.evidence_tables import GROUP, Evidence

NEGATIVE, POSITIVE = "some rewards below 0", "all rewards above 0"


def parts_of(table: Evidence) -> dict[str, Evidence]:
    """Name to part, each with its combined metrics: those of the key `parts`, and bases and tasks by sign of reward."""
    whole, parts = with_combinations(table), {}
    for name, part in table.facts.get("parts", {}).items():
        if "tasks" in part:
            parts[name] = only(whole, pl.col("task").is_in(part["tasks"]))
        else:  # the standardized values change with the teachers
            parts[name] = with_combinations(only(table, ~pl.col("teacher").is_in(part["without_teachers"])))
    return parts | by_sign(whole)


def by_sign(table: Evidence) -> dict[str, Evidence]:
    """The bases and tasks where a mean reward is negative, so that CAR rises with the loss, and the others.

    Of their metrics only CAR and its parts are kept.
    """
    if "combine" not in table.facts:
        return {}
    below = (pl.col(table.facts["combine"]["reward"]) < 0).any().over(GROUP)
    of_car = [name for name in table.directions if name.partition(":")[0] == "car"]
    kept = {name: table.directions[name] for name in (*table.facts["combine"].values(), *of_car, Z)}
    table = table._replace(directions=kept)
    parts = {NEGATIVE: only(table, below), POSITIVE: only(table, ~below)}
    return parts if all(part.pairs.height for part in parts.values()) else {}


def only(table: Evidence, rows: pl.Expr) -> Evidence:
    return table._replace(pairs=table.pairs.filter(rows))
