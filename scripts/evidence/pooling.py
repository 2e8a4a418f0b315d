"""The mean of rho over the bases and tasks of a table, with the interval that the table allows."""

import numpy as np
import polars as pl

from scripts.metrics.rank_statistics import MIN_TEACHERS, RESAMPLES, SEED, interval

MIN_TASKS = 10  # with fewer, an interval over tasks is not given


def pooled_over(groups: list[pl.DataFrame]) -> str | None:
    """What is resampled for an interval of the mean of rho over these groups (one base and task each).

    teachers: all groups have the same ones, and enough of them. tasks: there are enough tasks, so that the interval is
    about other tasks with such teachers. None: the table is too small for both.
    """
    teachers = {tuple(group["teacher"]) for group in groups}
    if len(teachers) == 1 and groups[0].height >= MIN_TEACHERS:
        return "teachers"
    return "tasks" if len({group["task"][0] for group in groups}) >= MIN_TASKS else None


def interval_over_tasks(values: np.ndarray, tasks: list[str]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of values (groups,), from resamples of tasks with all their groups."""
    names, index = np.unique(tasks, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(RESAMPLES, len(names)))
    return interval(sums[drawn].sum(1) / counts[drawn].sum(1))


def too_few(groups: list[pl.DataFrame]) -> str:
    """Why a mean over these groups has no interval."""
    fewest, most = (f(group.height for group in groups) for f in (min, max))
    teachers = str(most) if fewest == most else f"{fewest} to {most}"
    return f"too few teachers ({teachers}) and tasks to conclude anything"
