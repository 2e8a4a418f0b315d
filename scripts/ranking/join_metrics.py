r"""All metrics of one base and teacher, one row per response, before any average and without CAR.

python -m scripts.ranking.join_metrics \
    --base alpha --likelihoods results/miniature/likelihoods/alpha/terse-large.parquet \
    --diversity results/miniature/diversity/terse-large.parquet \
    --rewards results/miniature/rewards/right-answer/terse-large.parquet --reference-likelihoods \
    --output results/miniature/metrics/alpha/terse-large.parquet
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.metrics.definitions import METRICS, PARTS, REFERENCE_METRICS
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.identity import common_identity


def main():
    args = parse_args()
    likelihoods = read_table(args.likelihoods)
    diversity = read_table(args.diversity).drop("teacher", "reason")  # the likelihoods have the same reasons
    likelihoods = likelihoods.join(diversity, on="id", how="left", validate="1:1", maintain_order="left")
    values = {name: metric.row for name, metric in METRICS.items()} | PARTS
    metrics = likelihoods.select("id", pl.lit(args.base).alias("base"), "teacher", **values)
    other_models = [*map(reward_values, args.rewards), *map(reference_values, args.reference_likelihoods)]
    reasons = [likelihoods["reason"]]
    for values in other_models:
        joined = metrics.join(values, on="id", how="left", validate="1:1", maintain_order="left")
        metrics = joined.drop("reason")
        reasons.append(joined["reason"])
    metrics = metrics.with_columns(pl.select(pl.coalesce(reasons)).to_series().alias("reason"))
    check_rows(metrics, likelihoods["id"].to_list(), value="loss")
    identity = common_identity([args.likelihoods, args.diversity, *args.rewards, *args.reference_likelihoods])
    identity.pop("responses", None)  # those of this teacher
    write_table(metrics, args.output, identity)
    print(f"rows with every metric: {metrics['reason'].null_count()} of {metrics.height}")


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
    parser.add_argument("--likelihoods", type=Path, required=True, help="parquet of likelihoods")
    parser.add_argument("--diversity", type=Path, required=True, help="parquet of bytes per row")
    parser.add_argument("--rewards", type=Path, nargs="+", required=True, help="parquet, one per reward model")
    parser.add_argument("--reference-likelihoods", type=Path, nargs="*", default=[], help="parquet, one per model")
    parser.add_argument("--output", type=Path, required=True, help="parquet of metrics per row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
