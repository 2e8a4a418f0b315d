"""Metrics of a teacher that depend on the other compared teachers of the base."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from scripts.tables.files import read_table

OF_CASL = ["log_prob", "aslec_drop", "first_log_prob", "first_share"]


def lark(paths: list[Path], counting: pl.DataFrame, compared: list[str]) -> pl.DataFrame:
    """teacher and lark, from the metrics of the rows of one base, for teachers with the same instructions.

    With L the loss and B the Brier score of a response, and sums over the compared teachers' responses to the same
    instruction, g = L / sum L x (2 B / L - sum B / sum L) (2605.30651, lark/score_lark.py). The value of a data set is
    the mean. One file is in memory at a time.
    """
    sums = pl.DataFrame(schema={"id": pl.String, "sum_loss": pl.Float64, "sum_brier": pl.Float64})
    for teacher, rows in of_teachers(paths, counting, ["loss", "brier"]):
        if teacher in compared:
            sums = pl.concat([sums, rows.select("id", sum_loss="loss", sum_brier="brier")]).group_by("id").sum()
    share, mean = pl.col("loss") / pl.col("sum_loss"), pl.col("sum_brier") / pl.col("sum_loss")
    g = 2 * pl.col("brier") / pl.col("sum_loss") - share * mean
    found = [
        (teacher, rows.join(sums, on="id").sort("id").select(g.mean()).item())
        for teacher, rows in of_teachers(paths, counting, ["loss", "brier"])
    ]
    return pl.DataFrame(found, schema={"teacher": pl.String, "lark": pl.Float64}, orient="row")


def aslec_casl(paths: list[Path], counting: pl.DataFrame, compared: list[str]) -> pl.DataFrame:
    """teacher and aslec_casl, from the metrics of the rows of one base.

    The log-probability M of a row is regressed on that of the other tokens, that of the first tokens of steps and the
    share of first tokens, over the rows of all compared teachers. The effect of the share is taken out: the mean of M -
    gamma x share (2604.06834, merge_cal_limo_ours.py, which fits one gamma per teacher). Rows with only first tokens
    are not in the regression.
    """
    means, used = {}, []
    for teacher, rows in of_teachers(paths, counting, OF_CASL):
        means[teacher] = rows.select("log_prob", "first_share").mean().row(0)
        if teacher in compared:
            used.append(rows.select(OF_CASL).drop_nulls().to_numpy())
    m, *parts = np.concatenate(used).T if used else np.empty((len(OF_CASL), 0))
    gamma = slopes(np.stack(parts, axis=1), m)[2] if len(m) else None
    found = [(teacher, None if gamma is None else m - gamma * share) for teacher, (m, share) in means.items()]
    return pl.DataFrame(found, schema={"teacher": pl.String, "aslec_casl": pl.Float64}, orient="row")


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares with an intercept: the coefficients of x (n, k); the smallest ones if several are as good."""
    return np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)[0]


def reward_minus_ppl(reward: str, compared: list[str]) -> pl.Expr:
    """z(reward) - z(log-perplexity) of each teacher of a base; null if either is the same for all compared ones.

    reward: a column reward:<reward model>. The log-perplexity of a data set is the mean of its rows' (its exponential
    would be decided by a few rows).
    """
    name = f"reward_minus_ppl:{reward.partition(':')[2]}"
    return (z(pl.col(reward), compared) - z(pl.col("loss_without_end"), compared)).alias(name)


def z(value: pl.Expr, compared: list[str]) -> pl.Expr:
    """The distance to the compared teachers' mean, in their standard deviations."""
    of_compared = value.filter(pl.col("teacher").is_in(compared))
    return pl.when(of_compared.std() > 0).then((value - of_compared.mean()) / of_compared.std())


def of_teachers(paths: list[Path], counting: pl.DataFrame, columns: list[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each teacher and id and columns of its usable rows among those that count."""
    for path in paths:
        rows = read_table(path, columns=["id", "teacher", "reason", *columns])
        usable = rows.filter(pl.col("reason").is_null()).join(counting, on=counting.columns, how="semi")
        yield rows["teacher"][0], usable.sort("id")
