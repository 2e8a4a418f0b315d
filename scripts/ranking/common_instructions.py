"""The instructions on which teachers are compared: those for which every compared teacher has every metric."""

from pathlib import Path

import polars as pl

from scripts.tables.files import read_table

KEYS = ["id", "base", "teacher", "reason"]


def by_base(paths: list[Path]) -> dict[str, list[Path]]:
    """Base to its files of metrics, the bases in alphabetical order."""
    files = {}
    for path in paths:
        files.setdefault(read_table(path, columns=["base"])["base"][0], []).append(path)
    return dict(sorted(files.items()))


def common_ids(rows: pl.DataFrame, compared: list[str]) -> pl.DataFrame:
    """id of the instructions for which every compared teacher has a usable row. Exits if there are none.

    `rows` has the columns KEYS, of one base.
    """
    usable = rows.filter(pl.col("reason").is_null() & pl.col("teacher").is_in(compared))
    common = usable.group_by("id").len().filter(pl.col("len") == len(compared)).select("id")
    if not common.height:
        raise SystemExit(
            f"{rows['base'][0]}: no instruction has a usable row from each of {', '.join(compared)}: "
            "see `reason` in responses, rewards, likelihoods"
        )
    return common
