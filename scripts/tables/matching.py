"""Rows of a table from elsewhere, each at the instruction it belongs to."""

import polars as pl

from scripts.tables.sources import normal


def match_rows(instructions: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """The instructions in their order with the table's columns; `there` is null where the table has no row for one.

    By id where the table has ids, else by the instruction's text. Exits where an id stands for another instruction.
    """
    for name in {"id", "instruction"} - set(table.columns):
        table = table.with_columns(pl.lit(None, pl.String).alias(name))
    table = table.with_columns(normal(table["instruction"]).alias("theirs"), pl.lit(True).alias("there"))
    key = "id" if table["id"].null_count() < table.height else "instruction"
    table = table.with_columns(pl.col("id") if key == "id" else pl.col("theirs").alias("instruction"))
    first = table.unique(key, keep="first", maintain_order=True)
    if table.height > first.height:
        print(f"{table.height - first.height} further rows for an instruction left out: the first counts")
    first = first.drop({"id", "instruction"} - {key})
    found = instructions.join(first, on=key, how="left", validate="1:1", maintain_order="left")
    other = found.filter(pl.col("theirs") != pl.col("instruction"))
    if other.height:
        raise SystemExit(
            f"{other.height} ids stand for another instruction in the table: {other['id'].head(3).to_list()}"
        )
    return found


def reason_against() -> pl.Expr:
    """Why a matched response cannot be used; null where it can."""
    return (
        pl.when(pl.col("there").is_null())
        .then(pl.lit("not_in_import"))
        .when(pl.col("response").is_null())
        .then(pl.lit("no_response"))
        .when(pl.col("response").str.strip_chars() == "")
        .then(pl.lit("empty"))
        .when(pl.col("response").str.contains("\ufffd"))
        .then(pl.lit("undecodable"))
    )
