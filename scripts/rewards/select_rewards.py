"""Take the rewards of a selection's responses from the rewards of the pool that they were selected from.

python -m scripts.rewards.select_rewards --teacher best-of-5 --responses results/mine/responses/best-of-5.parquet \
    --rewards results/mine/rewards/armorm/pool.parquet --output results/mine/rewards/armorm/best-of-5.parquet
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.identity import identity_of

VERSION = 1


def main():
    args = parse_args()
    selected = read_table(args.responses).select("id", "candidate", "reason")
    pool = read_table(args.rewards)
    rewards = selected.join(
        pool.select("id", "candidate", "reward", pl.col("reason").alias("why_unscored")),
        on=["id", "candidate"],
        how="left",
        validate="1:1",
        maintain_order="left",
    ).select(
        "id",
        "candidate",
        pl.lit(args.teacher).alias("teacher"),
        pl.lit(pool["reward_model"][0]).alias("reward_model"),
        "reward",
        pl.coalesce("reason", "why_unscored").alias("reason"),
    )
    check_rows(rewards, selected["id"].to_list(), value="reward")
    write_table(rewards, args.output, identity_of(args.rewards) | {"responses": sha256(args.responses)})
    print(f"{args.teacher}: mean reward {rewards['reward'].mean()} over {rewards['reward'].count()} responses")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the selection in the config")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the selected responses")
    parser.add_argument("--rewards", type=Path, required=True, help="parquet of the pool's rewards")
    parser.add_argument("--output", type=Path, required=True, help="parquet of rewards")
    return parser.parse_args()


if __name__ == "__main__":
    main()
