"""For each instruction, choose among several teachers the response with the highest CAR for one base.

python -m scripts.mixes.mix_responses --teacher mix-alpha --beta 1.0 \
    --responses results/miniature/responses/terse-large.parquet ... \
    --rewards results/miniature/rewards/right-answer/terse-large.parquet ... \
    --likelihoods results/miniature/likelihoods/alpha/terse-large.parquet ... \
    --output results/miniature/responses/mix-alpha.parquet

The mix is an additional teacher for that base. The CAR of one response is sigmoid(reward) / (1 + beta * loss): with
the raw reward, a larger loss would raise the CAR of a response whose reward is negative. If CARs are equal, the first
teacher in alphabetical order is chosen. The column mixed_from names the teacher of the chosen response. An instruction
without a usable response keeps its row, with the reason `no_usable_response`.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.metrics.car import LOSS, car, preferred
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.identity import common_identity
from scripts.tables.schemas import MIXED_RESPONSES, conform

VERSION = 2


def main():
    args = parse_args()
    rewards = read_rows(args.rewards, ["reward"])
    likelihoods = read_rows(args.likelihoods, LOSS.meta.root_names())
    common_identity([*args.rewards, *args.likelihoods], "responses")
    chosen = choose(rewards, likelihoods, args.beta)
    ids = read_table(args.responses[0], columns=["id"])
    texts = [read_table(path).join(chosen, on=["id", "teacher"], validate="1:1") for path in args.responses]
    mixed = ids.join(pl.concat(texts, how="diagonal"), on="id", how="left", validate="1:1", maintain_order="left")
    no_response = pl.when(pl.col("teacher").is_null()).then(pl.lit("no_usable_response"))
    mixed = mixed.with_columns(mixed_from=pl.col("teacher"), teacher=pl.lit(args.teacher), reason=no_response)
    check_rows(mixed, ids["id"].to_list(), value="response")
    write_table(conform(mixed, MIXED_RESPONSES), args.output)
    print(mixed["mixed_from"].value_counts(sort=True))


def read_rows(paths: list[Path], values: list[str]) -> pl.DataFrame:
    """id, teacher and `values` of the usable rows of all files."""
    rows = pl.concat([read_table(path, columns=["id", "teacher", "reason", *values]) for path in paths])
    return rows.filter(pl.col("reason").is_null()).drop("reason")


def choose(rewards: pl.DataFrame, likelihoods: pl.DataFrame, beta: float) -> pl.DataFrame:
    """For each id, the teacher with the highest CAR, among rows with a reward and a likelihood."""
    rows = rewards.join(likelihoods, on=["id", "teacher"], validate="1:1")
    best = rows.sort(-car(preferred(pl.col("reward")), LOSS, beta), "teacher").unique("id", keep="first")
    return best.select("id", "teacher")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the mix in the config")
    parser.add_argument("--beta", type=float, required=True, help="beta of CAR, per nat")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher in the mix")
    parser.add_argument(
        "--rewards", type=Path, nargs="+", required=True, help="parquet, one per teacher, by CAR's reward model"
    )
    parser.add_argument(
        "--likelihoods", type=Path, nargs="+", required=True, help="parquet, one per teacher, of the base"
    )
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
