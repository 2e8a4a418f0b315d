"""Take each pair's average performance from a table of known scores.

python -m scripts.correlations.import_performance --ap alpaca_eval.lc arena_hard.wr \
    --columns '{"base": "base", "teacher": "teacher", "scores": {"alpaca_eval.lc": "alpaca_eval_lc", ...}}' \
    --pairs '{"qwen2.5-3b": ["gemma-2-9b-it", ...], ...}' \
    --scores config/paper/scores.csv --output results/paper-import/tables/performance.csv

Exits naming the pairs that the table lacks. A table of scores has no standard errors.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import write_table


def main():
    args = parse_args()
    table = pl.read_csv(args.scores, infer_schema=False)
    columns = {"base": args.columns["base"], "teacher": args.columns["teacher"]}
    columns |= {name: args.columns["scores"][name] for name in args.ap}
    if missing := [column for column in columns.values() if column not in table.columns]:
        raise SystemExit(f"{args.scores}: no column {', '.join(missing)}: there are {', '.join(table.columns)}")
    table = table.select(pl.col(column).alias(name) for name, column in columns.items())
    table = table.with_columns(pl.col(args.ap).cast(pl.Float64, strict=False))  # "NA" is no score
    pairs = [(base, teacher) for base, teachers in args.pairs.items() for teacher in teachers]
    asked = pl.DataFrame(pairs, schema=["base", "teacher"], orient="row")
    found = asked.join(table, on=["base", "teacher"], how="left", validate="1:1", maintain_order="left")
    lacking = found.filter(~pl.all_horizontal(pl.col(args.ap).is_finite().fill_null(False)))
    if lacking.height:
        named = ", ".join(f"{base}/{teacher}" for base, teacher, *_ in lacking.head(5).iter_rows())
        raise SystemExit(f"{args.scores}: {lacking.height} of {found.height} pairs have no score: {named}")
    ap = pl.mean_horizontal(args.ap, ignore_nulls=False).alias("ap")
    found = found.select("base", "teacher", ap, *args.ap).sort(["base", "ap"], descending=[False, True])
    write_table(found, args.output)
    print(f"{found.height} pairs")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="names of scores, such as alpaca_eval.lc")
    parser.add_argument("--columns", type=json.loads, required=True, help="names to the table's columns as JSON")
    parser.add_argument("--pairs", type=json.loads, required=True, help="base to compared teachers as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="CSV of scores")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
