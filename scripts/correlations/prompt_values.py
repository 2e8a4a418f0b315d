"""Values of single prompts in the judgments of a benchmark, and what several models have in common over prompts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.ap_errors import teacher_of
from scripts.scores.prompt_grades import SCALE, prompt_grades
from scripts.tables.files import read_table

# score to the column of judgments whose mean it is, and the points of 1 in this column; grades have their own table
OF_PROMPT = {"wr": ("preference", 100), "accuracy": ("correct", 100)}
RESAMPLES, SEED = 2000, 0


def values_of_prompts(paths: Sequence[Path], ap: list[str]) -> dict[tuple, list[pl.DataFrame]]:
    """(benchmark, base, teacher) to a table for each training run: id and value, a prompt's share of AP in points.

    Without the benchmarks that have a score in `ap` that is no mean over prompts, and without runs that have no value.
    """
    found: dict[tuple, list[pl.DataFrame]] = {}
    for path in paths:
        judgments = read_table(path)
        benchmark, base, run = judgments.select("benchmark", "base", "teacher").row(0)
        scores = [name.rpartition(".")[2] for name in ap if name.rpartition(".")[0] == benchmark]
        of_run = values_of_run(judgments, scores)
        if of_run is not None:
            shares = [of_run.with_columns(pl.col("value") / len(ap))] if of_run.height else []
            found.setdefault((benchmark, base, teacher_of(run)), []).extend(shares)
    return found


def values_of_run(judgments: pl.DataFrame, scores: list[str]) -> pl.DataFrame | None:
    """id and value (the sum of these scores in points) of each prompt that has one; None if a score is no such mean."""
    graded = "turn" in judgments.columns
    of_prompt = prompt_grades(judgments) if graded else judgments
    columns = [(score, SCALE) if graded else OF_PROMPT.get(score, (None, 0)) for score in scores]
    if not columns or not all(column in of_prompt.columns for column, _ in columns):
        return None
    value = sum(pl.col(column).cast(pl.Float64) * points for column, points in columns)
    return of_prompt.select("id", value=value).drop_nulls()


def covariance_of_means(tables: list[pl.DataFrame]) -> np.ndarray:
    """The covariance (runs, runs) of the mean values of runs over resampled prompts, those that all runs have.

    In each resample all runs have the same prompts: what is hard for one is hard for the others.
    """
    values = tables[0]
    for i, table in enumerate(tables[1:]):
        values = values.join(table.rename({"value": f"value_{i}"}), on="id", validate="1:1")
    drawn = np.random.default_rng(SEED).integers(values.height, size=(RESAMPLES, values.height))
    means = [of_run.to_numpy()[drawn].mean(1) for of_run in values.drop("id").iter_columns()]
    return np.atleast_2d(np.cov(means))
