"""The error of average performance (AP), the mean of several scores over the training runs of a base on a teacher.

A run is named like its teacher, `teacher`, or `teacher@seed` for each seed after the first.

The value of run s on prompt p is modelled as mean + seed_s + prompt_p + rest_sp (random effects of two crossed factors:
Searle, Casella and McCulloch, Variance Components, 1992, chapter 4). With k runs and n prompts the variance of the mean
of all values is the sum of two parts:

    seeds    var(seed) / k + var(rest) / (k n) = S2 / k, where S2 is the variance of the means of single runs
    prompts  var(prompt) / n, the covariance of the means of two runs, which have different seeds and the same prompts

S2 is pooled over the students of a base, since two or three runs of one student say little. The prompts of a single run
have its whole error over prompts, and no part from seeds: that is not known. The 95 % interval has the quantile of
Student's t with the degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946).
"""

import numpy as np
import polars as pl
from scipy import stats


def teacher_of(run: str) -> str:
    """The teacher of a run; names of teachers have no @."""
    return run.partition("@")[0]


def ap_error(performance: pl.DataFrame) -> pl.Expr:
    """The standard error over prompts of AP, the mean of the scores `benchmark.score`; null if one has no error.

    Scores with the same source (see source_of) have errors that are added, since they depend on the same judgments.
    Sources are independent.
    """
    errors = [name for name in performance.columns if name.endswith(".se")]
    if not errors:
        return pl.lit(None, pl.Float64)
    by_source: dict[str, list[pl.Expr]] = {}
    for name in errors:
        error = pl.col(name).cast(pl.Float64)  # an empty column of a CSV is read as text
        by_source.setdefault(source_of(name.removesuffix(".se")), []).append(error)
    squares = [pl.sum_horizontal(of_scores, ignore_nulls=False) ** 2 for of_scores in by_source.values()]
    return pl.sum_horizontal(squares, ignore_nulls=False).sqrt() / len(errors)


def source_of(score: str) -> str:
    """What a score `benchmark.score` was measured on: its benchmark, or its task for `benchmark.task:metric`."""
    benchmark, _, name = score.rpartition(".")
    return score.partition(":")[0] if ":" in name else benchmark


def variance_of_seeds(runs: list[int | None], deviations: list[float | None]) -> tuple[float, int]:
    """S2 and its degrees of freedom, from each student's number of runs and the standard deviation of their APs.

    (0, 0) if no student has several runs.
    """
    known = [(n - 1, sd**2) for n, sd in zip(runs, deviations, strict=True) if n and sd is not None]
    freedom = sum(n for n, _ in known)
    return (sum(n * square for n, square in known) / freedom if freedom else 0.0), freedom


def variance_of_prompts(covariance: np.ndarray, n_first: int) -> float:
    """The part of the prompts in the variance of the mean of the first runs, minus the mean of the others, if any.

    covariance (runs, runs): that of the means of runs over prompts.
    """
    first, others = covariance[:n_first, :n_first], covariance[n_first:, n_first:]
    if not others.size:
        return max(0.0, of_two_runs(first))
    return max(0.0, of_two_runs(first) + of_two_runs(others) - 2 * float(covariance[:n_first, n_first:].mean()))


def of_two_runs(covariance: np.ndarray) -> float:
    """The mean covariance of two different runs; the variance if there is only one run."""
    n = len(covariance)
    return float(covariance[0, 0] if n == 1 else (covariance.sum() - np.trace(covariance)) / (n * (n - 1)))


def margin(prompts: float, seeds: float, freedom: int) -> float:
    """Half of the width of the 95 % interval, from the variances of both parts and the degrees of freedom of seeds."""
    total = prompts + seeds
    if not seeds:
        return 1.96 * total**0.5
    return float(stats.t.ppf(0.975, total**2 / (seeds**2 / freedom)) * total**0.5)


def with_errors(students: pl.DataFrame, prompts: str) -> pl.DataFrame:
    """AP's standard error `ap_se` and `ap_margin` of the students of one base, which have `runs` and `seed_sd`.

    prompts: the column with the error from prompts alone; both are null where it is.
    """
    variance, freedom = variance_of_seeds(students["runs"].to_list(), students["seed_sd"].to_list())
    rows = []
    for runs, error in students.select("runs", prompts).iter_rows():
        seeds = variance / runs if runs and freedom else 0.0
        known = error is not None
        rows.append(((error**2 + seeds) ** 0.5, margin(error**2, seeds, freedom)) if known else (None, None))
    schema = {"ap_se": pl.Float64, "ap_margin": pl.Float64}
    return students.hstack(pl.DataFrame(rows, schema=schema, orient="row"))
