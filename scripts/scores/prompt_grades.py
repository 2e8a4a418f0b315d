"""The grade of each prompt, from a judge's texts on the answers to it (protocol `grade`)."""

import polars as pl

from scripts.judgments.grade_texts import LOWEST
from scripts.judgments.judge_outputs import read_grade

SCALE = 10  # points of AP per point of a grade: 10 to 100


def graded(judgments: pl.DataFrame) -> pl.DataFrame:
    """The judgments with the grade, 1 to 10, of each answer: 1 without an answer, null if nothing can be read."""
    grades = [LOWEST if row["decided"] else read_grade(row) for row in judgments.iter_rows(named=True)]
    return judgments.with_columns(pl.Series("grade", grades, pl.Float64, strict=False))


def prompt_grades(judgments: pl.DataFrame) -> pl.DataFrame:
    """id, grade, and turn_1, turn_2 ... if there are several turns, a row per prompt in the order of the judgments.

    grade: the mean over the turns of the prompt, null if one of them has no grade.
    """
    turns = graded(judgments)
    mean = pl.when(pl.col("grade").is_not_null().all()).then(pl.col("grade").mean())
    prompts = turns.group_by("id", maintain_order=True).agg(mean)
    if turns["turn"].max() == 1:
        return prompts
    apart = turns.pivot("turn", index="id", values="grade", maintain_order=True)
    names = {name: f"turn_{name}" for name in apart.columns if name != "id"}
    return prompts.join(apart.rename(names), on="id", validate="1:1", maintain_order="left")
