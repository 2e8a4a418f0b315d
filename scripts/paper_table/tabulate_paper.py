r"""Conclusions from the numbers printed in the paper, without running a model.

python -m scripts.paper_table.tabulate_paper --ap alpaca_eval_lc arena_hard_wr \
    --teachers '{"gemma-2-9b-it": {"family": "gemma-2", "parameters": 9}, ...}' \
    --bases '{"gemma-2-2b": "gemma-2", ...}' \
    --scores config/paper/scores.csv --printed config/paper/correlations.csv --output results/paper-table/tables

performance.csv: AP of each pair. size_steps.csv: whether the larger teacher of a family is the better one.
baselines.csv: how well AP is predicted without any metric, in the form of a study's correlations.csv. printed.csv: the
rho of the paper's Table 4, each with the interval that its n implies. findings.csv: the same in sentences.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.correlations.correlation import SCHEMA, correlate
from scripts.correlations.pairs import with_transfer
from scripts.correlations.size_steps import SCHEMA as STEP_SCHEMA
from scripts.correlations.size_steps import size_steps
from scripts.metrics.rank_statistics import interval_of_printed
from scripts.tables.files import write_table


def main():
    args = parse_args()
    scores = pl.read_csv(args.scores)
    performance = scores.select("base", "teacher", ap=pl.mean_horizontal(args.ap), ap_se=pl.lit(0.0))
    steps = pl.DataFrame(size_steps(performance, args.teachers, {}), schema=STEP_SCHEMA)
    baselines = pl.DataFrame(correlate_baselines(performance, args.teachers, args.bases), schema=SCHEMA)
    printed = with_intervals(pl.read_csv(args.printed), n=performance["teacher"].n_unique())
    sentences = findings(steps, baselines, printed)
    tables = {"performance": performance.drop("ap_se"), "size_steps": steps.drop("se"), "baselines": baselines}
    for name, table in (tables | {"printed": printed, "findings": pl.DataFrame({"finding": sentences})}).items():
        write_table(table, args.output / f"{name}.csv")
    print(*sentences, sep="\n")


def correlate_baselines(performance: pl.DataFrame, teachers: dict[str, dict], bases: dict[str, str]) -> list[dict]:
    """Correlations of AP with a teacher's size, with being of the base's family, and with its AP on the other bases."""
    families = {name: entry["family"] for name, entry in teachers.items()}
    sizes = {name: float(entry["parameters"]) for name, entry in teachers.items()}
    pairs = performance.with_columns(
        parameters=pl.col("teacher").replace_strict(sizes),
        same_family=(
            pl.col("teacher").replace_strict(families) == pl.col("base").replace_strict(bases, return_dtype=pl.String)
        ).cast(pl.Float64),
    )
    pairs, _ = with_transfer(pairs.sort("base", "teacher"))
    return correlate(pairs, ["parameters", "same_family", "transfer"])


def with_intervals(printed: pl.DataFrame, n: int) -> pl.DataFrame:
    """base, metric, n, rho, low, high of the printed rho; and the means over bases, which have no interval."""
    low, high = interval_of_printed(printed["rho"].to_numpy(), n)
    means = printed.group_by("metric", maintain_order=True).agg(base=pl.lit("average"), rho=pl.col("rho").mean())
    within = printed.with_columns(low=pl.Series(low), high=pl.Series(high))
    table = pl.concat([within, means], how="diagonal")
    return table.select("base", "metric", pl.lit(n).alias("n"), "rho", "low", "high")


def findings(steps: pl.DataFrame, baselines: pl.DataFrame, printed: pl.DataFrame) -> list[str]:
    """The results of the tables, one sentence each."""
    transfer = baselines.row(by_predicate=(pl.col("metric") == "transfer") & (pl.col("base") == "average"), named=True)
    of_car = printed.filter(metric="car")
    car = of_car.filter(base="average")["rho"].item()
    widths = of_car.drop_nulls("low").select(pl.col("high") - pl.col("low")).to_series()
    others = printed.join(of_car, on="base", suffix="_car").filter(pl.col("metric") != "car").drop_nulls("low")
    above = others.filter(pl.col("high") < pl.col("low_car"))
    return [
        f"In {steps['inverted'].sum()} of {steps.height} steps within a family, the larger teacher gives the lower AP.",
        f"A teacher's mean AP on the other bases predicts its AP on a base with a mean rho of {transfer['rho']:.3f} "
        f"[{transfer['low']:.3f}, {transfer['high']:.3f}]; the printed CAR does so with {car:.3f}.",
        f"With {printed['n'][0]} teachers the 95 % interval of CAR's printed rho is {widths.min():.2f} to "
        f"{widths.max():.2f} wide.",
        f"It is completely above the interval of another metric on the same base in {above.height} of {others.height} "
        "cases.",
    ]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="columns of the scores whose mean is AP")
    parser.add_argument("--teachers", type=json.loads, required=True, help="teacher to family and parameters as JSON")
    parser.add_argument("--bases", type=json.loads, required=True, help="base to family as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="CSV with base, teacher and scores (Table 6)")
    parser.add_argument("--printed", type=Path, required=True, help="CSV with base, metric and rho (Table 4)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
