r"""Read each pair's average performance (AP) from a table of published scores.

python -m scripts.correlations.import_performance --ap alpaca_eval.lc arena_hard.wr \
    --columns '{"base": "base", "teacher": "teacher", "scores": {"alpaca_eval.lc": "alpaca_eval_lc", ...}}' \
    --pairs '{"qwen2.5-3b": ["gemma-2-9b-it", ...], ...}' \
    --scores config/paper/scores.csv --output results/paper-import/tables/performance.csv

Exits if the table lacks a pair, and names it. A table of scores has no standard errors.
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
        raise SystemExit(
            f"{args.scores}: no column {', '.join(missing)}; the table has {', '.join(table.columns)}: "
            "see `scores.columns`"
        )
    table = table.select(pl.col(column).alias(name) for name, column in columns.items())
    table = table.with_columns(pl.col(args.ap).cast(pl.Float64, strict=False))  # "NA" becomes null
    pairs = [(base, teacher) for base, teachers in args.pairs.items() for teacher in teachers]
    wanted = pl.DataFrame(pairs, schema=["base", "teacher"], orient="row")
    found = wanted.join(table, on=["base", "teacher"], how="left", validate="1:1", maintain_order="left")
    without_score = found.filter(~pl.all_horizontal(pl.col(args.ap).is_finite().fill_null(False)))
    if without_score.height:
        first = ", ".join(f"{base}/{teacher}" for base, teacher, *_ in without_score.head(5).iter_rows())
        raise SystemExit(
            f"{args.scores}: pairs without a score: {without_score.height} of {found.height}, first {first}: "
            "add them to the table, or set `compare: false` for the teachers"
        )
    ap = pl.mean_horizontal(args.ap, ignore_nulls=False).alias("ap")
    found = found.select("base", "teacher", ap, *args.ap).sort(["base", "ap"], descending=[False, True])
    write_table(found, args.output)
    print(f"pairs with a score: {found.height}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="names of scores, such as alpaca_eval.lc")
    parser.add_argument(
        "--columns", type=json.loads, required=True, help="columns of the table (base, teacher, scores) as JSON"
    )
    parser.add_argument("--pairs", type=json.loads, required=True, help="base to its compared teachers as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="CSV of scores")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
