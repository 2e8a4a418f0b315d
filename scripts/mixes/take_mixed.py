"""Take the rewards, likelihoods or gradients of a mix's responses from those of the teachers they were chosen from.

python -m scripts.mixes.take_mixed --teacher mix-alpha --responses results/miniature/responses/mix-alpha.parquet \
    --sources results/miniature/rewards/right-answer/terse-large.parquet ... \
    --output results/miniature/rewards/right-answer/mix-alpha.parquet

The same response has the same reward, likelihood and gradient, so no model is loaded.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.identity import common_identity

VERSION = 1
VALUES = ("reward", "nll", "gradient_norm", "step_log_prob")  # a table has one of them, null only with a reason


def main():
    args = parse_args()
    mixed = read_table(args.responses, columns=["id", "mixed_from", "reason"])
    chosen = mixed.select("id", teacher="mixed_from")
    frames = [read_table(path) for path in args.sources]
    values = pl.concat([frame.join(chosen, on=["id", "teacher"], how="semi") for frame in frames])
    taken = mixed.select("id", why_unmixed="reason").join(
        values, on="id", how="left", validate="1:1", maintain_order="left"
    )
    constant = [name for name in ("model", "reward_model") if name in values.columns]  # the same in every row
    taken = taken.with_columns(
        pl.lit(args.teacher).alias("teacher"),
        *(pl.lit(frames[0][name][0]).alias(name) for name in constant),
        pl.coalesce("why_unmixed", "reason").alias("reason"),
    )
    taken = taken.select(frames[0].columns)
    value = next(name for name in VALUES if name in taken.columns)
    check_rows(taken, mixed["id"].to_list(), value=value)
    identity = common_identity(args.sources, "responses") | {"responses": sha256(args.responses)}
    write_table(taken, args.output, identity)
    print(f"{args.teacher}: {taken['reason'].null_count()} of {taken.height} rows taken")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the mix in the config")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the mix's responses")
    parser.add_argument("--sources", type=Path, nargs="+", required=True, help="parquet, one per teacher in the mix")
    parser.add_argument("--output", type=Path, required=True, help="parquet with the same columns as --sources")
    return parser.parse_args()


if __name__ == "__main__":
    main()
