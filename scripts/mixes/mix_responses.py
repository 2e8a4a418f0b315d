"""Per instruction the response that suits one base best, of several teachers': a further teacher of that base.

python -m scripts.mixes.mix_responses --teacher mix-alpha --beta 1.0 \
    --responses results/miniature/responses/terse-large.parquet ... \
    --rewards results/miniature/rewards/right-answer/terse-large.parquet ... \
    --likelihoods results/miniature/likelihoods/alpha/terse-large.parquet ... \
    --output results/miniature/responses/mix-alpha.parquet

A single response has its CAR too, sigmoid(reward) / (1 + beta loss): with the raw reward a larger loss would raise it
for every response below zero. Of equal ones the first teacher's counts. mixed_from tells whose response a row has; an
instruction that no source has a usable response for keeps its row with a reason.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.metrics.car import LOSS, car, preferred
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.schemas import MIXED_RESPONSES, conform


def main():
    args = parse_args()
    rewards = read_rows(args.rewards, ["reward"])
    likelihoods = read_rows(args.likelihoods, LOSS.meta.root_names())
    chosen = choose(rewards, likelihoods, args.beta)
    ids = read_table(args.responses[0], columns=["id"])
    texts = [read_table(path).join(chosen, on=["id", "teacher"], validate="1:1") for path in args.responses]
    mixed = ids.join(pl.concat(texts), on="id", how="left", validate="1:1", maintain_order="left")
    none_left = pl.when(pl.col("teacher").is_null()).then(pl.lit("no_usable_response"))
    mixed = mixed.with_columns(mixed_from=pl.col("teacher"), teacher=pl.lit(args.teacher), reason=none_left)
    check_rows(mixed, ids["id"].to_list(), value="response")
    write_table(conform(mixed, MIXED_RESPONSES), args.output)
    print(mixed["mixed_from"].value_counts(sort=True))


def read_rows(paths: list[Path], values: list[str]) -> pl.DataFrame:
    """id, teacher and values of the usable rows of all files."""
    rows = pl.concat([read_table(path, columns=["id", "teacher", "reason", *values]) for path in paths])
    return rows.filter(pl.col("reason").is_null()).drop("reason")


def choose(rewards: pl.DataFrame, likelihoods: pl.DataFrame, beta: float) -> pl.DataFrame:
    """id and teacher of the highest CAR of every id, among the rows that have a reward and a likelihood."""
    rows = rewards.join(likelihoods, on=["id", "teacher"], validate="1:1")
    best = rows.sort(-car(preferred(pl.col("reward")), LOSS, beta), "teacher").unique("id", keep="first")
    return best.select("id", "teacher")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the mix in the config")
    parser.add_argument("--beta", type=float, required=True, help="beta of CAR, per nat")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per source")
    parser.add_argument("--rewards", type=Path, nargs="+", required=True, help="parquet by CAR's reward model, as many")
    parser.add_argument("--likelihoods", type=Path, nargs="+", required=True, help="parquet of the base, as many")
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
