r"""How certain the ranking by CAR is with this number of instructions, and how many it may need.

python -m scripts.ranking.assess_ranking --car '{"reward_model": "right-answer", "beta": 1.0, "transform": "none"}' \
    --compared terse-large plain-large --compare paired --p-highest 0.95 \
    --metrics results/miniature/metrics/*/*.parquet --sensitivity results/miniature/tables/sensitivity.csv \
    --output-stability results/miniature/tables/stability.csv \
    --output-sample-size results/miniature/tables/sample_size.csv

Other instructions give other means, and perhaps another order. All teachers answer the same instructions, so their
means move together: the errors of their differences matter, not the errors of the means. With `--compare unpaired` each
teacher has its own instructions, and the errors are independent.

stability.csv: car_se, p_highest (probability of having the highest CAR) and the 95 % range of the teacher's rank.
sample_size.csv: n (instructions, or the smallest number of a teacher's own), first (the teacher with the highest
measured CAR), p_highest of it, tied (teachers that it is not ahead of with the target probability), tau (mean Kendall's
tau between the order of a new sample and this one), n_needed (instructions at which 90 % of samples would be settled)
and settled: p_highest reaches the target, with at least 100 instructions and a positive reward, and no beta in a stated
range, reward model or transform has another first teacher.
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

from scripts.metrics.car import BETA_RANGE, INSTRUCTIONS_DIFFER, preferred
from scripts.ranking.car_parts import parts_of_car
from scripts.ranking.common_instructions import KEYS, by_base, rows_that_count
from scripts.ranking.highest_car import MIN_INSTRUCTIONS, POWER, mean_tau, n_needed, p_highest, tied, true_cars
from scripts.ranking.sampling_error import car_of_samples, car_of_unpaired_samples
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
        counting = rows_that_count(rows, args.compared, args.compare)
        rows = rows.join(counting, on=counting.columns, how="semi").sort("teacher", "id")
        samples = {name: rows.filter(teacher=name).select(**values) for name in sorted(args.compared)}
        refuse_too_few(base, samples)
        r, loss = ([sample[name].to_numpy() for sample in samples.values()] for name in values)
        if args.compare == "paired":
            means, covariance = car_of_samples(np.stack(r).T, np.stack(loss).T, args.car["beta"])
        else:
            means, covariance = car_of_unpaired_samples(r, loss, args.car["beta"])
        stability += stability_rows(base, list(samples), means, covariance)
        n = np.array([len(of_teacher) for of_teacher in r])
        size = sample_size(list(samples), n, means, covariance, args.p_highest)
        others = other_firsts(settings.filter(base=base), size["first"])
        mean_r, mean_loss = (np.array([of_teacher.mean() for of_teacher in value]) for value in (r, loss))
        size |= parts_of_car(mean_r, mean_loss, args.car["beta"])
        sizes.append({"base": base, **size, **verdict(size, mean_r[means.argmax()], others, args.compare)})
    write_table(with_sources(pl.DataFrame(stability), args.sensitivity), args.output_stability)
    sizes = pl.DataFrame(sizes, infer_schema_length=None)
    write_table(with_sources(sizes, args.sensitivity), args.output_sample_size)


def refuse_too_few(base: str, samples: dict[str, pl.DataFrame]) -> None:
    """Exits if a teacher has fewer than two rows that count."""
    if few := [name for name, sample in samples.items() if sample.height < 2]:
        raise SystemExit(
            f"{base}: fewer than 2 instructions count for {', '.join(few)}; a ranking needs at least 2 that have a "
            "usable row: see `reason` in responses, rewards, likelihoods"
        )


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


def sample_size(
    teachers: list[str], n: int | np.ndarray, means: np.ndarray, covariance: np.ndarray, target: float
) -> dict:
    """The columns of sample_size.csv that follow from the CARs and their errors. n: for all teachers, or for each."""
    first = int(means.argmax())
    return {
        "n": int(np.min(n)),
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


def verdict(size: dict, reward: float, others: list[str], compare: str = "paired") -> dict:
    """settled, and advice: what is known and what to do, in a few sentences. reward: r of the first teacher."""
    settled, advice = verdict_in_words(size, reward, others, " for each teacher" if compare == "unpaired" else "")
    return {"settled": settled, "advice": f"{advice} {INSTRUCTIONS_DIFFER}" if compare == "unpaired" else advice}


def verdict_in_words(size: dict, reward: float, others: list[str], each: str) -> tuple[bool, str]:
    """Whether a ranking is settled, and what is known and what to do. each: what follows a number of instructions."""
    p = "above 99 %" if size["p_highest"] > 0.99 else f"of {100 * size['p_highest']:.0f} %"
    n = f"{'at least ' if each else ''}{size['n']} instructions{each}"
    known = f"{size['first']} has the highest CAR with a probability {p} ({n})"
    enough = f"{POWER:.0%} of samples of about {size['n_needed']} instructions{each} would settle it"
    if size["n"] < MIN_INSTRUCTIONS:
        return False, f"{known}, but these are too few to settle anything: use at least {MIN_INSTRUCTIONS}."
    if reward < 0:
        return False, f"{known}, but its mean reward is negative, and then a larger loss raises CAR: not settled."
    if size["p_highest"] < size["target"]:
        todo = f"If the CARs are as estimated, {enough}." if size["n_needed"] else "Even a million may not settle it."
        return False, f"{known}: not settled. {todo}"
    if others:
        return False, f"{known}, but other settings of CAR have another first teacher: not settled."
    more = f" {enough}." if size["n_needed"] and size["n_needed"] < size["n"] else ""
    return True, f"{known}: settled.{more}"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--car", type=json.loads, required=True, help="section car as JSON")
    parser.add_argument("--compared", nargs="+", required=True, help="teachers that are ranked")
    parser.add_argument("--compare", choices=["paired", "unpaired"], default="paired", help="`compare` of the config")
    parser.add_argument("--p-highest", type=float, required=True, help="probability from which a ranking is settled")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--sensitivity", type=Path, required=True, help="CSV of the first teacher by setting of CAR")
    parser.add_argument("--output-stability", type=Path, required=True, help="CSV, one row per base and teacher")
    parser.add_argument("--output-sample-size", type=Path, required=True, help="CSV, one row per base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
