"""How well each metric orders the teachers as their average performance does (the form of the paper's Table 4).

python scripts/correlate_metrics.py --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/correlations.csv

rho is Spearman's, over the compared teachers of one base, signed by the metric's declared direction: positive means
that what the metric calls better is better. raw_rho has the sign as computed. The row `average` is the mean over bases
of the within-base values.
"""

import argparse
from pathlib import Path

import polars as pl
from scipy import stats

from metrics import METRICS, better, named_columns
from rows import write_table

ENOUGH_TEACHERS = 10  # below, no interval of rho covers what it says (simulated for 6 to 19 teachers)


def main():
    args = parse_args()
    teachers = pl.read_csv(args.teachers, infer_schema_length=None).filter(pl.col("rank").is_not_null())
    performance = pl.read_csv(args.performance, infer_schema_length=None).select("base", "teacher", "ap")
    pairs = teachers.join(performance, on=["base", "teacher"], validate="1:1")
    if pairs.height != teachers.height:
        raise SystemExit(f"{teachers.height} ranked pairs, but {pairs.height} of them have a score")
    metrics = ["car", *named_columns(pairs), *METRICS]
    per_base = [
        correlate(pairs.filter(pl.col("base") == base), m) for m in metrics for base in sorted(set(pairs["base"]))
    ]
    table = pl.DataFrame(per_base, infer_schema_length=None, schema_overrides={"note": pl.String})
    write_table(pl.concat([table, average(table)]), args.output)


def correlate(pairs: pl.DataFrame, metric: str) -> dict:
    """Spearman's rho of one metric and AP over the teachers of one base; none, and the cause, where there is none."""
    n = pairs.height
    row = {"base": pairs["base"][0], "metric": metric, "better": better(metric), "n": n}
    for name in (metric, "ap"):
        values = pairs[name].cast(float)
        if values.null_count() or not values.is_finite().all():
            return row | {"rho": None, "raw_rho": None, "note": f"n/a: {name} is missing for a teacher"}
        if values.n_unique() < 2:
            return row | {"rho": None, "raw_rho": None, "note": f"n/a: {name} is the same for every teacher"}
    rho = float(stats.spearmanr(pairs[metric], pairs["ap"]).statistic)
    note = None if n >= ENOUGH_TEACHERS else f"too few teachers ({n}) to conclude anything"
    return row | {"rho": rho if row["better"] == "higher" else -rho, "raw_rho": rho, "note": note}


def average(table: pl.DataFrame) -> pl.DataFrame:
    """Per metric, the mean over bases; none where a base has none."""
    complete = pl.col("rho").is_not_null().all()
    return (
        table.group_by("metric", "better", maintain_order=True)
        .agg(
            pl.col("n").min(),
            pl.when(complete).then(pl.col("rho").mean()).alias("rho"),
            pl.when(complete).then(pl.col("raw_rho").mean()).alias("raw_rho"),
            pl.col("note").drop_nulls().first(),
        )
        .select(pl.lit("average").alias("base"), *table.columns[1:])
    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and metric")
    return parser.parse_args()


if __name__ == "__main__":
    main()
