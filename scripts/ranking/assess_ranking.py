r"""How certain the ranking by CAR is with this number of instructions, and how many it may need.

python -m scripts.ranking.assess_ranking --car '{"reward_model": "right-answer", "beta": 1.0, "transform": "none"}' \
    --compared terse-large plain-large --p-same-top1 0.95 --metrics results/miniature/metrics/*/*.parquet \
    --output-stability results/miniature/tables/stability.csv \
    --output-sample-size results/miniature/tables/sample_size.csv

Other instructions give other means, and perhaps another order. All teachers answer the same instructions, so their
means move together: the errors of their differences matter, not the errors of the means. The CARs of all teachers are
drawn from a joint normal distribution with the paired covariance of the rows' influences on CAR (the delta method).
This agrees with a bootstrap over instructions.

stability.csv: car_se, p_first (share of draws in which the teacher is first) and the 95 % range of its rank.
sample_size.csv: p_same_top1 (chance that a new sample has the same first teacher), tau (mean Kendall's tau between the
order of a new sample and this one) and n_needed (instructions at which p_same_top1 would reach the target if the CARs
did not change). These numbers are about the order by CAR; only fine-tuning shows whether CAR finds the best teacher.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import rankdata

from scripts.metrics.car import preferred
from scripts.ranking.common_instructions import KEYS, by_base, common_ids
from scripts.ranking.sampling_error import MIN_INSTRUCTIONS, car_of_samples, mean_tau, n_needed, noise, p_first
from scripts.tables.files import read_table, write_table


def main():
    args = parse_args()
    reward = pl.col(f"reward:{args.car['reward_model']}")
    values = {"r": reward if args.car["transform"] == "none" else preferred(reward), "loss": pl.col("loss")}
    columns = [*KEYS, reward.meta.output_name(), "loss"]
    stability, sizes = [], []
    for base, paths in by_base(args.metrics).items():
        rows = pl.concat([read_table(path, columns=columns) for path in paths])
        rows = rows.filter(pl.col("teacher").is_in(args.compared))
        common = rows.join(common_ids(rows, args.compared), on="id", how="semi").sort("teacher", "id")
        teachers = common["teacher"].unique(maintain_order=True).to_list()
        r, loss = (common.select(value).to_numpy().reshape(len(teachers), -1).T for value in values.values())
        if len(r) < 2:
            raise SystemExit(
                f"{base}: only 1 instruction has a usable row from every compared teacher; a ranking needs at least 2: "
                "see `reason` in responses, rewards, likelihoods"
            )
        means, covariance = car_of_samples(r, loss, args.car["beta"])
        stability += stability_rows(base, teachers, means, covariance)
        size = sample_size(teachers, len(r), means, covariance, args.p_same_top1)
        if r.mean(0)[means.argmax()] < 0:
            size["advice"] += " Its mean reward is negative, and then a larger loss raises CAR: see `car.transform`."
        sizes.append({"base": base, **size})
    write_table(pl.DataFrame(stability), args.output_stability)
    write_table(pl.DataFrame(sizes, infer_schema_length=None), args.output_sample_size)


def stability_rows(base: str, teachers: list[str], means: np.ndarray, covariance: np.ndarray) -> list[dict]:
    """A row of stability.csv per teacher, best CAR first."""
    ranks = rankdata(-(means + noise(covariance)), axis=1)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0, method="nearest")
    columns = {"car": means, "car_se": np.sqrt(np.diag(covariance)), "p_first": (ranks == 1).mean(0)}
    columns |= {"rank_low": low.astype(int), "rank_high": high.astype(int)}
    return [
        {"base": base, "teacher": teachers[i], **{name: column[i].item() for name, column in columns.items()}}
        for i in np.argsort(-means, kind="stable")
    ]


def sample_size(teachers: list[str], n: int, means: np.ndarray, covariance: np.ndarray, target: float) -> dict:
    """A row of sample_size.csv: how stable the order is at n instructions, and how many would settle it."""
    errors, first = noise(covariance), int(means.argmax())
    p = p_first(means, errors, first)
    needed = n_needed(n, means, errors, first, target)
    settled = p >= target and n >= MIN_INSTRUCTIONS
    row = {"n": n, "first": teachers[first], "p_same_top1": p, "tau": mean_tau(means, errors), "target": target}
    return row | {"settled": settled, "n_needed": needed, "advice": advice(row, settled, needed)}


def advice(row: dict, settled: bool, needed: int | None) -> str:
    """The result and what to do, in one or two sentences."""
    chance = f"{row['first']} is first by CAR in {row['p_same_top1']:.1%} of samples of {row['n']} instructions"
    if settled:
        enough = f" About {needed} instructions would have been enough." if needed < row["n"] else ""
        return f"{chance}: settled.{enough}"
    if row["n"] < MIN_INSTRUCTIONS:
        return f"{chance}, but these are too few to conclude anything: use at least {needed or MIN_INSTRUCTIONS}."
    if needed is None:
        todo = "Even a million instructions would not settle it: take the cheapest of the first teachers."
    else:
        todo = f"If the difference is real, about {needed} instructions would show it: set `n` to this number."
    return f"{chance}: not settled. {todo}"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--car", type=json.loads, required=True, help="section car as JSON")
    parser.add_argument("--compared", nargs="+", required=True, help="teachers that are ranked")
    parser.add_argument("--p-same-top1", type=float, required=True, help="chance at which a ranking counts as settled")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--output-stability", type=Path, required=True, help="CSV, one row per base and teacher")
    parser.add_argument("--output-sample-size", type=Path, required=True, help="CSV, one row per base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
