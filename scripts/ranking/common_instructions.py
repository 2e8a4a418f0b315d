"""The instructions on which teachers are compared: those for which every compared teacher has every metric.

With `compare: unpaired` each teacher has its own instructions, and those for which it has every metric count.
"""

from pathlib import Path

import polars as pl

from scripts.tables.files import read_table
from scripts.tables.matching import WAY_OUT

KEYS = ["id", "base", "teacher", "reason"]


def by_base(paths: list[Path]) -> dict[str, list[Path]]:
    """Base to its files of metrics, the bases in alphabetical order."""
    files = {}
    for path in paths:
        files.setdefault(read_table(path, columns=["base"])["base"][0], []).append(path)
    return dict(sorted(files.items()))


def rows_that_count(rows: pl.DataFrame, compared: list[str], compare: str) -> pl.DataFrame:
    """id, and with `unpaired` also teacher, of the rows over which teachers are averaged: for a semi-join by these.

    `rows` has the columns KEYS, of one base. Exits if paired teachers have no common row.
    """
    if compare == "paired":
        return common_ids(rows, compared)
    return rows.filter(pl.col("reason").is_null()).select("id", "teacher")


def common_ids(rows: pl.DataFrame, compared: list[str]) -> pl.DataFrame:
    """id of the instructions for which every compared teacher has a usable row. Exits if there are none.

    `rows` has the columns KEYS, of one base.
    """
    usable = rows.filter(pl.col("reason").is_null() & pl.col("teacher").is_in(compared))
    common = usable.group_by("id").len().filter(pl.col("len") == len(compared)).select("id")
    if not common.height:
        raise SystemExit(
            f"{rows['base'][0]}: no instruction has a usable row from each of {', '.join(compared)}: "
            f"see `reason` in responses, rewards, likelihoods; {WAY_OUT}"
        )
    return common


def refuse_gaps(rows: pl.DataFrame, compared: list[str], limit: float) -> None:
    """Exits if a compared teacher has no usable row for more than `limit` (0 to 1) of its instructions, for a base."""
    counts = rows.filter(pl.col("teacher").is_in(compared)).group_by("teacher", maintain_order=True)
    gaps = counts.agg(n=pl.len(), gap=pl.col("reason").count()).filter(pl.col("gap") > limit * pl.col("n"))
    if too_large := [f"{teacher} {gap / n:.0%} of {n}" for teacher, n, gap in gaps.iter_rows()]:
        raise SystemExit(
            f"{rows['base'][0]}: more than {limit:.0%} of the instructions have no usable row from "
            f"{', '.join(too_large)}: see `reason` in responses, rewards, likelihoods; "
            "set `compare: false` for the teacher or raise `max_set_aside`"
        )
