"""Pairs of a base and a teacher, with the metrics of the teacher and the average performance (AP) of the pair."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from scripts.metrics.definitions import BASELINES, better, scores_in
from scripts.tables.files import read_csv

DECLARED: Mapping[str, str] = MappingProxyType({})  # no direction but the declared ones


def read_pairs(teachers: Path, performance: Path) -> pl.DataFrame:
    """The complete pairs of the two tables: all bases have the same teachers, in the same order."""
    return complete(join_pairs(read_csv(teachers), read_csv(performance)))


def join_pairs(teachers: pl.DataFrame, performance: pl.DataFrame) -> pl.DataFrame:
    """A row per base and compared teacher, sorted: its metrics, ap, and ap_se, the standard error of AP.

    Exits if a ranked pair, or the errors, are missing in `performance`.
    """
    ranked = teachers.filter(pl.col("rank").is_not_null())
    if "ap_se" not in performance.columns:
        raise SystemExit("performance.csv: no column ap_se: it is of an older version; `snakemake all` makes it again")
    performance = performance.select("base", "teacher", "ap", pl.col("ap_se").cast(pl.Float64))
    pairs = ranked.join(performance, on=["base", "teacher"], validate="1:1")
    if pairs.height != ranked.height:
        raise SystemExit(
            f"performance.csv: pairs in the ranking: {ranked.height}, of these with a row here: {pairs.height}: "
            "both tables must come from the same configuration"
        )
    return pairs.sort("base", "teacher")


def complete(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs without the bases that have no AP at all, then without the teachers that lack an AP for one base.

    All bases then have the same teachers: a pair that could not be trained leaves out its teacher for every base.
    """
    pairs = pairs.filter(pl.col("ap").is_not_null().any().over("base"))
    return pairs.filter(pl.col("ap").is_not_null().all().over("teacher"))


def read_differences(path: Path, column: str) -> dict[tuple[str, str, str], float | None]:
    """(base, teacher, other teacher), in both orders, to the `se` or `margin` of the difference of their APs."""
    rows = read_csv(path).select("base", "teacher_a", "teacher_b", pl.col(column).cast(pl.Float64)).rows()
    return {key: value for base, a, b, value in rows for key in ((base, a, b), (base, b, a))}


def with_transfer(pairs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The pairs and the names of their metrics; with several bases also `transfer`, the mean AP on the other bases."""
    metrics = [*scores_in(pairs), *(name for name in BASELINES if name in pairs.columns)]
    if pairs["base"].n_unique() < 2:
        return pairs, metrics
    transfer = (pl.col("ap").sum().over("teacher") - pl.col("ap")) / (pl.len().over("teacher") - 1)
    transfer = transfer.round(9)  # so that equal means stay tied
    return pairs.with_columns(transfer=transfer), [*metrics, "transfer"]


def column(pairs: pl.DataFrame, name: str) -> np.ndarray:
    return pairs[name].cast(pl.Float64).to_numpy()


def stacked(bases: list[pl.DataFrame], name: str) -> np.ndarray:
    """A column of all bases, (bases, teachers)."""
    return np.stack([column(of_base, name) for of_base in bases])


def signed(bases: list[pl.DataFrame], metric: str, directions: Mapping[str, str] = DECLARED) -> np.ndarray:
    """A metric's values (bases, teachers), with the sign changed if smaller is better."""
    return stacked(bases, metric) if direction(metric, directions) == "higher" else -stacked(bases, metric)


def direction(metric: str, directions: Mapping[str, str] = DECLARED) -> str:
    """higher or lower is better: as `directions` says, otherwise as the metric is declared in definitions.py."""
    return directions.get(metric) or better(metric)
