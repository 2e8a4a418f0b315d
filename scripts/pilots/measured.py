"""What the pilots measured: the score of every prompt in every run, and their means with the errors of both.

A pilot is named `teacher@n{size}s{seed}`.
"""

import json
import re
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.correlations.ap_errors import of_two_runs, variance_of_seeds
from scripts.correlations.prompt_values import values_of_run
from scripts.pilots.curves import Cells
from scripts.tables.files import read_table
from scripts.tables.identity import common_identity

PILOT = re.compile(r"(.*)@n(\d+)s(\d+)")


class Measured(NamedTuple):
    """The cells of one base, with the names of their teachers in alphabetical order."""

    teachers: list[str]
    cells: Cells
    lost: list[str]  # pilots without a score, with the reason


def read_pilots(judgments: list[Path], scores: list[Path], score: str) -> Measured:
    """The pilots of one base, from a file of judgments and one of scores for each. `score` is benchmark.score.

    Prompts count if they have a value in every pilot with a score. Exits if no pilot has a score.
    """
    common_identity(judgments)  # by one judge, on the same prompts
    names, tables, lost = [], [], []
    for path, of_run in zip(judgments, map(read_score, scores), strict=True):
        if "reason" in of_run:
            lost.append(f"{of_run['teacher']} ({of_run['reason']})")
            continue
        values = values_of_run(read_table(path), [score.rpartition(".")[2]])
        names.append(of_run["teacher"])
        tables.append(values.rename({"value": of_run["teacher"]}))
    if not tables:
        raise SystemExit(f"no pilot has a score: {'; '.join(lost)}")
    common = reduce(lambda a, b: a.join(b, on="id", validate="1:1"), tables)
    if common.height < 2:
        raise SystemExit(f"prompts with a value of {score} in all pilots: {common.height}, and at least 2 are needed")
    return Measured(*cells_of(names, common.drop("id").to_numpy().T), lost)


def read_score(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def cells_of(names: list[str], values: np.ndarray) -> tuple[list[str], Cells]:
    """The teachers and the cells of pilots with these names, from their values (runs, prompts).

    The part of the prompts in two cells is the mean covariance of their runs; in one cell that of two different runs.
    """
    parts = [PILOT.fullmatch(name).groups() for name in names]
    of_runs = [(teacher, int(size)) for teacher, size, _ in parts]
    teachers = sorted({teacher for teacher, _ in of_runs})
    cells = sorted(set(of_runs))
    members = [[i for i, cell in enumerate(of_runs) if cell == wanted] for wanted in cells]
    means = values.mean(1)
    of_means = np.atleast_2d(np.cov(values)) / values.shape[1]
    prompts = np.array([[of_means[np.ix_(a, b)].mean() for b in members] for a in members])
    np.fill_diagonal(prompts, [max(of_two_runs(of_means[np.ix_(a, a)]), 0.0) for a in members])
    runs = [len(of_cell) for of_cell in members]
    deviations = [means[of_cell].std(ddof=1) if len(of_cell) > 1 else None for of_cell in members]
    found = Cells(
        np.array([teachers.index(teacher) for teacher, _ in cells]),
        np.array([float(size) for _, size in cells]),
        np.array([means[of_cell].mean() for of_cell in members]),
        np.array(runs),
        nearest_covariance(prompts),
        *variance_of_seeds(runs, deviations),
    )
    return teachers, found


def nearest_covariance(matrix: np.ndarray) -> np.ndarray:
    """The matrix without its negative eigenvalues, which a covariance cannot have."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values.clip(0) @ vectors.T
