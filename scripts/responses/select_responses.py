"""Choose one candidate per instruction from a pool: the best or the worst by a reward model, or any.

python -m scripts.responses.select_responses --teacher best-of-5 --select best --seed 0 \
    --responses results/mine/responses/pool.parquet --rewards results/mine/rewards/armorm/pool.parquet \
    --output results/mine/responses/best-of-5.parquet

Candidates that cannot be used, or have no reward where one decides, are left out of the choice; of equal rewards the
first candidate counts. An instruction without any candidate left keeps its row with a reason. (Paper, Table 3.)
"""

import argparse
import hashlib
from pathlib import Path

import polars as pl

from scripts.tables.files import check_rows, read_table, write_table


def main():
    args = parse_args()
    pool = read_table(args.responses)
    if args.select == "random":
        pool = pool.with_columns(pl.Series("order", drawn(pool, args.seed)))
    else:
        rewards = read_table(args.rewards).select("id", "candidate", "reward")
        pool = pool.join(rewards, on=["id", "candidate"], how="left", validate="1:1", maintain_order="left")
        pool = pool.with_columns((-pl.col("reward") if args.select == "best" else pl.col("reward")).alias("order"))
    chosen = choose(pool).with_columns(pl.lit(args.teacher).alias("teacher"))
    check_rows(chosen, pool["id"].unique(maintain_order=True).to_list(), value="response")
    write_table(chosen, args.output)
    print(f"{args.teacher}: {chosen['reason'].null_count()} of {chosen.height} instructions have a choice")


def drawn(pool: pl.DataFrame, seed: int) -> list[str]:
    """SHA-256 of seed, id and candidate: the first in this order is as good as drawn."""
    keys = pool.select("id", "candidate").iter_rows()
    return [hashlib.sha256(f"{seed}:{i}:{candidate}".encode()).hexdigest() for i, candidate in keys]


def choose(pool: pl.DataFrame) -> pl.DataFrame:
    """The usable candidate first by `order` (then by number) of every id, in the order of the ids."""
    usable = pool.filter(pl.col("reason").is_null() & pl.col("order").is_not_null())
    first = usable.sort("order", "candidate").unique("id", keep="first").drop("order")
    chosen = pool.select("id").unique(maintain_order=True).join(first, on="id", how="left", maintain_order="left")
    none_left = pl.when(pl.col("response").is_null()).then(pl.lit("no_usable_candidate"))
    columns = ["id", "candidate", "teacher", "response", "finish_reason", "n_tokens", "reason"]
    return chosen.with_columns(none_left.alias("reason")).select(columns)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the selection in the config")
    parser.add_argument("--select", choices=["best", "worst", "random"], required=True, help="which candidate")
    parser.add_argument("--seed", type=int, required=True, help="seed of a random choice")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the pool's responses")
    parser.add_argument(
        "--rewards", type=Path, nargs="?", help="parquet of the pool's rewards; not for a random choice"
    )
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
