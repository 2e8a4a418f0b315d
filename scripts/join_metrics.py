"""Every per-row value of one base and teacher side by side, before any average, without CAR.

python scripts/join_metrics.py --likelihoods results/miniature/likelihoods/alpha/terse-large.parquet \
    --rewards results/miniature/rewards/right-answer/terse-large.parquet \
    --output results/miniature/metrics/alpha/terse-large.parquet
"""

import argparse
from pathlib import Path

import polars as pl

from metrics import METRICS
from rows import check_rows, write_table


def main():
    args = parse_args()
    likelihoods = pl.read_parquet(args.likelihoods)
    metrics = likelihoods.select("id", "base", "teacher", **{name: m.row for name, m in METRICS.items()})
    reasons = [likelihoods["reason"]]
    for path in args.rewards:
        rewards = pl.read_parquet(path)
        column = f"reward:{rewards['reward_model'][0]}"
        joined = metrics.join(
            rewards.select("id", pl.col("reward").alias(column), "reason"),
            on="id",
            how="left",
            validate="1:1",
            maintain_order="left",
        )
        metrics = joined.drop("reason")
        reasons.append(joined["reason"])
    metrics = metrics.with_columns(pl.select(pl.coalesce(reasons)).to_series().alias("reason"))
    check_rows(metrics, likelihoods["id"].to_list(), value="loss")
    write_table(metrics, args.output)
    print(f"{metrics['reason'].null_count()} of {metrics.height} rows have every metric")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--likelihoods", type=Path, required=True, help="parquet of likelihoods")
    parser.add_argument("--rewards", type=Path, nargs="+", required=True, help="parquet, one per reward model")
    parser.add_argument("--output", type=Path, required=True, help="parquet of metrics per row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
