"""Metrics of a teacher that are computed for sampled instructions only, because they are costly: on request."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from scripts.ranking.gradient_scores import gradient_scores
from scripts.tables.files import read_table
from scripts.tables.identity import common_identity

KEYS = ["id", "model", "teacher", "reason"]


def of_base(paths: list[Path], base: str) -> list[Path]:
    """The tables of one base among those of all."""
    return [path for path in paths if read_table(path, columns=["model"])["model"][0] == base]


def scores_of_gradients(paths: list[Path], counting: pl.DataFrame, compared: list[str]) -> pl.DataFrame:
    """teacher, g_norm, g_vendi, grace and n_gradients, the number of instructions, from the gradients of one base."""
    found = []
    for teacher, rows in sampled_rows(paths, counting, compared, ["gradient_norm", "projection"]):
        projections = np.array(rows["projection"].to_list(), dtype=np.float64)
        scores = gradient_scores(rows["gradient_norm"].to_numpy(), projections)
        found.append({"teacher": teacher, "n_gradients": rows.height, **scores})
    columns = dict.fromkeys(("g_norm", "g_vendi", "grace"), pl.Float64)
    return pl.DataFrame(found, schema={"teacher": pl.String, "n_gradients": pl.Int64, **columns})


def scores_of_steps(paths: list[Path], counting: pl.DataFrame, compared: list[str]) -> pl.DataFrame:
    """teacher, lalp and n_lalp, the number of instructions, from the scored steps of one base."""
    found = [
        (teacher, rows.height, (rows["step_log_prob"] / rows["n_steps"]).mean())
        for teacher, rows in sampled_rows(paths, counting, compared, ["n_steps", "step_log_prob"])
    ]
    return pl.DataFrame(found, schema={"teacher": pl.String, "n_lalp": pl.Int64, "lalp": pl.Float64}, orient="row")


def sampled_rows(
    paths: list[Path], counting: pl.DataFrame, compared: list[str], columns: list[str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each teacher and id and columns of its sampled rows, sorted by id, from the tables of one base.

    counting: the rows over which teachers are averaged (common_instructions.py). If these are the same instructions for
    all teachers, only those are taken that every compared teacher has a value for.
    """
    common_identity(paths, "responses")  # those of each teacher
    keys = pl.concat([read_table(path, columns=KEYS) for path in paths]).filter(pl.col("reason").is_null())
    keys = keys.join(counting, on=counting.columns, how="semi")
    if "teacher" not in counting.columns:
        of_compared = keys.filter(pl.col("teacher").is_in(compared)).group_by("id").len()
        keys = keys.join(of_compared.filter(len=len(compared)), on="id", how="semi")
    for path in paths:
        rows = read_table(path, columns=["id", "teacher", *columns])
        yield rows["teacher"][0], rows.join(keys, on=["id", "teacher"], how="semi").sort("id")
