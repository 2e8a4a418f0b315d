"""Rows of an imported table, each next to the instruction that it belongs to."""

import polars as pl

from scripts.tables.sources import normal


def match_rows(instructions: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """The instructions in their order with the columns of the table; `found` is null if the table has no row for one.

    Rows are matched by id if the table has ids, else by the text of the instruction. If several rows match, the first
    one is taken. Exits if an id has one instruction here and another one in the table.
    """
    empty = {name: pl.lit(None, pl.String) for name in ("id", "instruction") if name not in table.columns}
    table = table.with_columns(**empty)
    table = table.with_columns(imported_instruction=normal(table["instruction"]), found=True)
    key = "id" if table["id"].null_count() < table.height else "instruction"
    if key == "instruction":
        table = table.with_columns(instruction="imported_instruction")
    first = table.unique(key, keep="first", maintain_order=True)
    if table.height > first.height:
        print(f"rows left out because an earlier row has the same {key}: {table.height - first.height}")
    first = first.drop({"id", "instruction"} - {key})
    matched = instructions.join(first, on=key, how="left", validate="1:1", maintain_order="left")
    different = matched.filter(pl.col("imported_instruction") != pl.col("instruction"))["id"]
    if len(different):
        raise SystemExit(
            f"ids with a different instruction in the table ({len(different)}): {different.head(3).to_list()}"
        )
    return matched


def match_responses(instructions: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """match_rows of a table with the column response, and `reason`: why the response cannot be used, else null.

    The response is null if it cannot be used, except for `undecodable`, whose text is kept.
    """
    table = table if "unreadable" in table.columns else table.with_columns(unreadable=pl.lit(None, pl.String))
    if unreadable := table["unreadable"].drop_nulls().value_counts(sort=True).rows():
        print(f"rows that are no conversation: {', '.join(f'{reason}: {n}' for reason, n in unreadable)}", flush=True)
    response = pl.col("response")
    reason = (
        pl.when(pl.col("found").is_null())
        .then(pl.lit("not_in_import"))
        .when(pl.col("unreadable").is_not_null())
        .then(pl.col("unreadable"))
        .when(response.is_null())
        .then(pl.lit("no_response"))
        .when(response.str.strip_chars() == "")
        .then(pl.lit("empty"))
        .when(response.str.contains("\ufffd"))
        .then(pl.lit("undecodable"))
    )
    kept = pl.when(reason.is_null() | (reason == "undecodable")).then(response)
    return match_rows(instructions, table).with_columns(response=kept, reason=reason)
