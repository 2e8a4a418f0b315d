"""Take a teacher's responses from a table that has them already.

python -m scripts.responses.import_responses \
    --teacher gemma-2-9b-it --spec '{"path": ..., "columns": {"response": ...}, ...}' \
    --instructions results/mine/instructions.parquet --output results/mine/responses/gemma-2-9b-it.parquet

Every instruction keeps its row: one without a response gets a reason. Where the table has several rows for an
instruction the first counts.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.matching import match_rows, reason_against
from scripts.tables.sources import as_text, read_columns, read_source


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


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--spec", type=json.loads, required=True, help="path or dataset, columns, match as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
