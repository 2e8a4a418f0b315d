r"""How certain the ranking by CAR is with this number of instructions, and how many it may need.

python -m scripts.ranking.assess_ranking --car '{"reward_model": "right-answer", "beta": 1.0, "transform": "none"}' \
    --compared terse-large plain-large --p-highest 0.95 --metrics results/miniature/metrics/*/*.parquet \
    --sensitivity results/miniature/tables/sensitivity.csv \
    --output-stability results/miniature/tables/stability.csv \
    --output-sample-size results/miniature/tables/sample_size.csv

Other instructions give other means, and perhaps another order. All teachers answer the same instructions, so their
means move together: the errors of their differences matter, not the errors of the means.

stability.csv: car_se, p_highest (probability of having the highest CAR) and the 95 % range of the teacher's rank.
sample_size.csv: first (the teacher with the highest measured CAR), p_highest of it, tied (teachers that it is not ahead
of with the target probability), tau (mean Kendall's tau between the order of a new sample and this one), n_needed
(instructions at which 90 % of samples would be settled) and settled: p_highest reaches the target, with at least 100
instructions and a positive reward, and no beta in a stated range, reward model or transform has another first teacher.
tau_reward and tau_loss (Kendall's tau of CAR with r and with minus L) and spread_reward and spread_loss (of log r and
of log(1 + beta L) over the teachers) show whether CAR orders by the reward or by the loss. All this is about CAR; only
fine-tuning shows whether CAR finds the best teacher.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import rankdata

from scripts.metrics.car import BETA_RANGE, preferred
from scripts.ranking.car_parts import parts_of_car
from scripts.ranking.common_instructions import KEYS, by_base, common_ids
from scripts.ranking.highest_car import MIN_INSTRUCTIONS, POWER, mean_tau, n_needed, p_highest, tied, true_cars
from scripts.ranking.sampling_error import car_of_samples
from scripts.tables.files import read_csv, read_table, write_table
from scripts.tables.identity import with_sources


def main():
    args = parse_args()
    reward = pl.col(f"reward:{args.car['reward_model']}")
    values = {"r": reward if args.car["transform"] == "none" else preferred(reward), "loss": pl.col("loss")}
    columns = [*KEYS, reward.meta.output_name(), "loss"]
    settings = read_csv(args.sensitivity)
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
        size = sample_size(teachers, len(r), means, covariance, args.p_highest)
        others = other_firsts(settings.filter(base=base), size["first"])
        size |= parts_of_car(r.mean(0), loss.mean(0), args.car["beta"])
        sizes.append({"base": base, **size, **verdict(size, r.mean(0)[means.argmax()], others)})
    write_table(with_sources(pl.DataFrame(stability), args.sensitivity), args.output_stability)
    sizes = pl.DataFrame(sizes, infer_schema_length=None)
    write_table(with_sources(sizes, args.sensitivity), args.output_sample_size)


def stability_rows(base: str, teachers: list[str], means: np.ndarray, covariance: np.ndarray) -> list[dict]:
    """A row of stability.csv per teacher, best CAR first."""
    ranks = rankdata(-true_cars(means[None], covariance)[0], axis=1)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0, method="nearest")
    columns = {"car": means, "car_se": np.sqrt(np.diag(covariance)), "p_highest": p_highest(means[None], covariance)[0]}
    columns |= {"rank_low": low.astype(int), "rank_high": high.astype(int)}
    return [
        {"base": base, "teacher": teachers[i], **{name: column[i].item() for name, column in columns.items()}}
        for i in np.argsort(-means, kind="stable")
    ]


def sample_size(teachers: list[str], n: int, means: np.ndarray, covariance: np.ndarray, target: float) -> dict:
    """The columns of sample_size.csv that follow from the CARs and their errors."""
    first = int(means.argmax())
    return {
        "n": n,
        "first": teachers[first],
        "p_highest": p_highest(means[None], covariance)[0, first].item(),
        "tied": ", ".join(teachers[i] for i in tied(means, covariance, target)),
        "tau": mean_tau(means, covariance),
        "target": target,
        "n_needed": n_needed(n, means, covariance, target),
    }


def other_firsts(settings: pl.DataFrame, first: str) -> list[str]:
    """The other teachers with the highest CAR for some beta in BETA_RANGE, reward model and transform."""
    low, high = BETA_RANGE
    within = settings.filter((pl.col("beta_to") > low) & (pl.col("beta_from") < high), pl.col("first") != first)
    return within["first"].unique(maintain_order=True).to_list()


def verdict(size: dict, reward: float, others: list[str]) -> dict:
    """settled, and advice: what is known and what to do, in a few sentences. reward: r of the first teacher."""
    p = "above 99 %" if size["p_highest"] > 0.99 else f"of {100 * size['p_highest']:.0f} %"
    known = f"{size['first']} has the highest CAR with a probability {p} ({size['n']} instructions)"
    enough = f"{POWER:.0%} of samples of about {size['n_needed']} instructions would settle it"
    if size["n"] < MIN_INSTRUCTIONS:
        return not_settled(f"{known}, but these are too few to settle anything: use at least {MIN_INSTRUCTIONS}.")
    if reward < 0:
        return not_settled(f"{known}, but its mean reward is negative, and then a larger loss raises CAR: not settled.")
    if size["p_highest"] < size["target"]:
        todo = f"If the CARs are as estimated, {enough}." if size["n_needed"] else "Even a million may not settle it."
        return not_settled(f"{known}: not settled. {todo}")
    if others:
        return not_settled(f"{known}, but other settings of CAR have another first teacher: not settled.")
    more = f" {enough}." if size["n_needed"] and size["n_needed"] < size["n"] else ""
    return {"settled": True, "advice": f"{known}: settled.{more}"}


def not_settled(advice: str) -> dict:
    return {"settled": False, "advice": advice}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--car", type=json.loads, required=True, help="section car as JSON")
    parser.add_argument("--compared", nargs="+", required=True, help="teachers that are ranked")
    parser.add_argument("--p-highest", type=float, required=True, help="probability from which a ranking is settled")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--sensitivity", type=Path, required=True, help="CSV of the first teacher by setting of CAR")
    parser.add_argument("--output-stability", type=Path, required=True, help="CSV, one row per base and teacher")
    parser.add_argument("--output-sample-size", type=Path, required=True, help="CSV, one row per base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
