"""Pairs of a base and a teacher, with the metrics of the one and the average performance (AP) of the other."""

from pathlib import Path

import numpy as np
import polars as pl

from scripts.metrics.definitions import BASELINES, METRICS, better, named_columns
from scripts.tables.files import read_csv


def read_pairs(teachers: Path, performance: Path) -> pl.DataFrame:
    return complete(join_pairs(read_csv(teachers), read_csv(performance)))


def join_pairs(teachers: pl.DataFrame, performance: pl.DataFrame) -> pl.DataFrame:
    """A row per base and compared teacher, in their order: its metrics, ap and ap_se, the standard error of AP."""
    ranked = teachers.filter(pl.col("rank").is_not_null())
    performance = performance.select("base", "teacher", "ap", ap_se=ap_error(performance))
    pairs = ranked.join(performance, on=["base", "teacher"], validate="1:1")
    if pairs.height != ranked.height:
        raise SystemExit(f"{ranked.height} ranked pairs, but {pairs.height} of them have a score")
    return pairs.sort("base", "teacher")


def complete(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs without bases that have no AP, and without teachers that lack an AP with one of the others.

    So all bases have the same teachers, and a student that could not be trained is a gap for every base.
    """
    pairs = pairs.filter(pl.col("ap").is_not_null().any().over("base"))
    return pairs.filter(pl.col("ap").is_not_null().all().over("teacher"))


def ap_error(performance: pl.DataFrame) -> pl.Expr:
    """The standard error of AP, a mean of scores `benchmark.score`, from theirs; 0 where the scores have none.

    Scores of one benchmark are made from the same judgments: their errors add up. Those of several are independent.
    """
    errors = [name for name in performance.columns if name.endswith(".se")]
    if not errors:
        return pl.lit(0.0)
    of_benchmark: dict[str, list[str]] = {}
    for name in errors:
        of_benchmark.setdefault(name.removesuffix(".se").rpartition(".")[0], []).append(name)
    squares = [pl.sum_horizontal(names) ** 2 for names in of_benchmark.values()]
    return (pl.sum_horizontal(squares).sqrt() / len(errors)).fill_null(0.0)


def with_transfer(pairs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The pairs, with a teacher's mean AP over the other bases where there are any; and the metrics they have."""
    metrics = ["car", *named_columns(pairs), *METRICS, *(name for name in BASELINES if name in pairs.columns)]
    if pairs["base"].n_unique() < 2:
        return pairs, metrics
    others = (pl.col("ap").sum().over("teacher") - pl.col("ap")) / (pl.len().over("teacher") - 1)
    return pairs.with_columns(transfer=others), [*metrics, "transfer"]


def column(pairs: pl.DataFrame, name: str) -> np.ndarray:
    return pairs[name].cast(pl.Float64).to_numpy()


def stacked(bases: list[pl.DataFrame], name: str) -> np.ndarray:
    return np.stack([column(of_base, name) for of_base in bases])


def signed(bases: list[pl.DataFrame], metric: str) -> np.ndarray:
    """A metric's values (bases, teachers), larger being better."""
    return stacked(bases, metric) if better(metric) == "higher" else -stacked(bases, metric)
