"""Take a teacher's responses from a table that has them already.

python scripts/import_responses.py --teacher gemma-2-9b-it --spec '{"path": ..., "columns": {"response": ...}, ...}' \
    --instructions results/mine/instructions.parquet --output results/mine/responses/gemma-2-9b-it.parquet

Every instruction keeps its row: one without a response gets a reason. Where the table has several rows for an
instruction the first counts.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from sources import as_text, normal, read_columns, read_source
from tables import check_rows, read_table, write_table


def main():
    args = parse_args()
    instructions = read_table(args.instructions, columns=["id", "instruction"])
    table = read_columns(read_source(args.spec), args.spec["columns"], args.spec["match"])
    if not table.height:
        raise SystemExit(f"{args.teacher}: the table has no row for {args.spec['match'] or 'anyone'}")
    table = table.select(as_text(column) for column in table)
    if "finish_reason" not in table.columns:
        table = table.with_columns(pl.lit(None, pl.String).alias("finish_reason"))
    found = match_rows(instructions, table).with_columns(reason_against().alias("reason"))
    responses = found.select(
        "id",
        pl.lit(0, pl.Int32).alias("candidate"),
        pl.lit(args.teacher).alias("teacher"),
        pl.when(pl.col("reason").is_null() | (pl.col("reason") == "undecodable")).then("response"),
        "finish_reason",
        pl.lit(None, pl.Int64).alias("n_tokens"),
        "reason",
    )
    check_rows(responses, instructions["id"].to_list(), value="response")
    write_table(responses, args.output)
    reasons = ", ".join(
        f"{reason}: {n}" for reason, n in responses["reason"].drop_nulls().value_counts(sort=True).rows()
    )
    print(
        f"{args.teacher}: {responses['reason'].null_count()} of {responses.height} have a response; {reasons or 'all'}"
    )


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


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--spec", type=json.loads, required=True, help="path or dataset, columns, match as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
