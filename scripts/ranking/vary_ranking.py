r"""Whether the first teacher by CAR stays first with other betas, other reward models, or their sigmoid.

python -m scripts.ranking.vary_ranking --beta 1.0 --teachers results/miniature/tables/teachers.csv \
    --output results/miniature/tables/sensitivity.csv

sensitivity.csv: base, reward_model, transform, beta, first (the teacher with the highest CAR in this setting) and tau
(Kendall's tau-b between this order of the compared teachers and the study's). This shows how much the choice of a
setting matters; only fine-tuning shows which setting predicts best (car.csv).
"""

import argparse
from math import isnan
from pathlib import Path

import polars as pl
from scipy.stats import kendalltau

from scripts.metrics.car import BETAS, car
from scripts.tables.files import read_csv, write_table

SCHEMA = {"base": pl.String, "reward_model": pl.String, "transform": pl.String, "beta": pl.Float64}
SCHEMA |= {"first": pl.String, "tau": pl.Float64}


def main():
    args = parse_args()
    ranked = read_csv(args.teachers).filter(pl.col("rank").is_not_null()).sort("base", "rank", "teacher")
    rows = [row for _, of_base in ranked.group_by("base", maintain_order=True) for row in vary(of_base, args.beta)]
    write_table(pl.DataFrame(rows, schema=SCHEMA), args.output)


def vary(teachers: pl.DataFrame, beta: float) -> list[dict]:
    """A row per setting, for the compared teachers of one base, best rank first; of equal CARs the better rank wins."""
    rows = []
    for name in (name for name in teachers.columns if name.startswith(("reward:", "sigmoid:"))):
        kind, _, reward_model = name.partition(":")
        for b in sorted({*BETAS, beta}):
            value = teachers.select(car(pl.col(name), pl.col("loss"), b)).to_series()
            order = kendalltau(value, teachers["car"]).statistic if teachers.height > 1 else 1.0
            transform = "none" if kind == "reward" else kind
            setting = {"reward_model": reward_model, "transform": transform, "beta": float(b)}
            first = teachers["teacher"][value.arg_max()]
            tau = None if isnan(order) else float(order)
            rows.append({"base": teachers["base"][0], **setting, "first": first, "tau": tau})
    return rows


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beta", type=float, required=True, help="`car.beta` of the config")
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and setting")
    return parser.parse_args()


if __name__ == "__main__":
    main()
