r"""All metrics of a base with each of its teachers, one row per response, before any average and without CAR.

python -m scripts.ranking.join_metrics \
    --base alpha --likelihoods results/miniature/likelihoods/alpha/terse-{large,small}.parquet \
    --diversity results/miniature/diversity/terse-{large,small}.parquet \
    --rewards results/miniature/rewards/right-answer/terse-{large,small}.parquet --reference-likelihoods \
    --outputs results/miniature/metrics/alpha/terse-{large,small}.parquet

The files of rewards and of reference likelihoods are those of one model for all teachers, then those of the next one.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.jobs.aligned import aligned
from scripts.metrics.definitions import METRICS, PARTS, REFERENCE_METRICS
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.identity import common_identity


def main():
    args = parse_args()
    n = len(args.likelihoods)
    for i, (likelihoods, diversity, output) in enumerate(aligned(args, "likelihoods", "diversity", "outputs")):
        join(args.base, likelihoods, diversity, args.rewards[i::n], args.reference_likelihoods[i::n], output)


def join(
    base: str, likelihoods: Path, diversity: Path, rewards: list[Path], reference_likelihoods: list[Path], output: Path
) -> None:
    """Write the metrics of one teacher's responses."""
    sums, sizes = read_table(likelihoods), read_table(diversity).drop("teacher", "reason")  # both have the same reasons
    sums = sums.join(sizes, on="id", how="left", validate="1:1", maintain_order="left")
    values = {name: metric.row for name, metric in METRICS.items()} | PARTS
    metrics = sums.select("id", pl.lit(base).alias("base"), "teacher", **values)
    other_models = [*map(reward_values, rewards), *map(reference_values, reference_likelihoods)]
    reasons = [sums["reason"]]
    for values in other_models:
        joined = metrics.join(values, on="id", how="left", validate="1:1", maintain_order="left")
        metrics = joined.drop("reason")
        reasons.append(joined["reason"])
    metrics = metrics.with_columns(pl.select(pl.coalesce(reasons)).to_series().alias("reason"))
    check_rows(metrics, sums["id"].to_list(), value="loss")
    identity = common_identity([likelihoods, diversity, *rewards, *reference_likelihoods])
    identity.pop("responses", None)  # those of this teacher
    write_table(metrics, output, identity)
    teacher, n = sums["teacher"][0], metrics["reason"].null_count()
    print(f"{base} on {teacher}: rows with every metric: {n} of {metrics.height}")


def reward_values(path: Path) -> pl.DataFrame:
    """The columns id, reward:<reward model> and reason."""
    rewards = read_table(path)
    return rewards.select("id", pl.col("reward").alias(f"reward:{rewards['reward_model'][0]}"), "reason")


def reference_values(path: Path) -> pl.DataFrame:
    """The columns id, ppl:<reference model>, ifd:<reference model> and reason."""
    sums = read_table(path)
    values = {f"{name}:{sums['model'][0]}": metric.row for name, metric in REFERENCE_METRICS.items()}
    return sums.select("id", "reason", **values)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--likelihoods", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--diversity", type=Path, nargs="+", required=True, help="parquet of bytes, one per teacher")
    parser.add_argument("--rewards", type=Path, nargs="+", required=True, help="parquet per reward model and teacher")
    parser.add_argument(
        "--reference-likelihoods", type=Path, nargs="*", default=[], help="parquet per reference model and teacher"
    )
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of metrics, one per teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
