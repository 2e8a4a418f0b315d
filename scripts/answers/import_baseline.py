"""Take a benchmark's baseline answers from a table that has them.

python -m scripts.answers.import_baseline \
    --benchmark alpaca_eval --spec '{"path": ..., "columns": {"response": ...}, ...}' \
    --prompts results/mine/prompts/alpaca_eval.parquet --output results/mine/baselines/alpaca_eval.parquet

Rows are matched to the prompts as imported responses are, never by position: published answers stand in another order
than published prompts.
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
    prompts = read_table(args.prompts, columns=["id", "instruction"])
    table = read_columns(read_source(args.spec), args.spec["columns"], args.spec["match"])
    found = match_rows(prompts, table.select(as_text(column) for column in table))
    found = found.with_columns(reason_against().alias("reason"))
    answers = found.select(
        "id",
        pl.lit(args.benchmark).alias("benchmark"),
        pl.lit(None, pl.String).alias("base"),
        pl.lit(None, pl.String).alias("teacher"),
        pl.when(pl.col("reason").is_null() | (pl.col("reason") == "undecodable")).then("response").alias("answer"),
        pl.lit(None, pl.String).alias("finish_reason"),
        pl.lit(None, pl.Int64).alias("n_tokens"),
        "reason",
    )
    check_rows(answers, prompts["id"].to_list(), value="answer")
    write_table(answers, args.output)
    print(f"{answers['reason'].null_count()} of {answers.height} prompts have a baseline answer")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument("--spec", type=json.loads, required=True, help="path or dataset, columns, match as JSON")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--output", type=Path, required=True, help="parquet of answers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
