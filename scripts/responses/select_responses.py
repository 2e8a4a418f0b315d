r"""Select one candidate per instruction from a pool: the best or the worst by a reward model, or a random one.

python -m scripts.responses.select_responses --teacher best-of-5 --select best --seed 0 \
    --responses results/mine/responses/pool.parquet --rewards results/mine/rewards/armorm/pool.parquet \
    --output results/mine/responses/best-of-5.parquet

Candidates that cannot be used are never selected; nor are candidates without a reward, if the reward decides. Of
candidates with equal rewards, the first is selected. An instruction without a usable candidate has a row with a reason.
(Paper, Table 3.)
"""

import argparse
import hashlib
from pathlib import Path

import polars as pl

from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.schemas import RESPONSES, conform

VERSION = 3


def main():
    args = parse_args()
    pool = read_table(args.responses)
    if args.select == "random":
        order = random_order(pool, args.seed)
    else:
        order = reward_order(pool, read_table(args.rewards), best=args.select == "best")
    selected = select_first(pool.with_columns(order.alias("order"))).with_columns(teacher=pl.lit(args.teacher))
    selected = conform(selected, RESPONSES)
    check_rows(selected, pool["id"].unique(maintain_order=True).to_list(), value="response")
    write_table(selected, args.output)
    print(
        f"{args.teacher}: {selected['reason'].null_count()} of {selected.height} instructions have a selected response"
    )


def random_order(pool: pl.DataFrame, seed: int) -> pl.Series:
    """SHA-256 of seed, id and candidate: sorted by it, the candidates of an id are in random order."""
    keys = pool.select("id", "candidate").iter_rows()
    return pl.Series([hashlib.sha256(f"{seed}:{i}:{candidate}".encode()).hexdigest() for i, candidate in keys])


def reward_order(pool: pl.DataFrame, rewards: pl.DataFrame, best: bool) -> pl.Series:
    """The reward of each row of the pool, null if it has none; negative if the best candidate comes first."""
    key = ["id", "candidate"]
    joined = pool.select(key).join(
        rewards.select(*key, "reward"), on=key, how="left", validate="1:1", maintain_order="left"
    )
    return -joined["reward"] if best else joined["reward"]


def select_first(pool: pl.DataFrame) -> pl.DataFrame:
    """For every id, the first usable candidate by `order`, then by number; in the order of the ids in the pool."""
    usable = pool.filter(pl.col("reason").is_null() & pl.col("order").is_not_null())
    first = usable.sort("order", "candidate").unique("id", keep="first").drop("order")
    selected = pool.select("id").unique(maintain_order=True).join(first, on="id", how="left", maintain_order="left")
    no_candidate = pl.when(pl.col("response").is_null()).then(pl.lit("no_usable_candidate"))
    return selected.with_columns(reason=no_candidate)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the selection in the config")
    parser.add_argument(
        "--select", choices=["best", "worst", "random"], required=True, help="which candidate is selected"
    )
    parser.add_argument("--seed", type=int, required=True, help="seed of a random selection")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the pool's responses")
    parser.add_argument(
        "--rewards", type=Path, nargs="?", help="parquet of the pool's rewards; not for a random selection"
    )
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
