"""Import the rewards of a teacher's imported responses from the same table.

python -m scripts.rewards.import_rewards --reward-model armorm --teacher gemma-2-9b-it \
    --spec '{"path": ..., "columns": {"id": ..., "reward": ...}, ...}' \
    --responses results/mine/responses/gemma-2-9b-it.parquet --instructions results/mine/instructions.parquet \
    --output results/mine/rewards/armorm/gemma-2-9b-it.parquet

Every response keeps its row. A row whose reward is missing or not finite has the reason `no_reward`. Exits if no
response has a reward.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.conversations import with_conversations
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.matching import match_rows
from scripts.tables.source_files import name_of
from scripts.tables.sources import read_texts

VERSION = 2


def main():
    args = parse_args()
    instructions = read_table(args.instructions, columns=["id", "instruction"])
    responses = read_table(args.responses).select("id", "candidate", "teacher", "reason")
    table = with_conversations(read_texts(args.spec), args.spec)
    numbers = table.with_columns(pl.col("reward").cast(pl.Float64, strict=False))
    imported = match_rows(instructions, numbers, args.spec.get("candidates") or 1).select("id", "candidate", "reward")
    key = ["id", "candidate"]
    rewards = responses.join(imported, on=key, how="left", validate="1:1", maintain_order="left").select(
        "id",
        "candidate",
        "teacher",
        pl.lit(args.reward_model).alias("reward_model"),
        pl.when(pl.col("reason").is_null() & pl.col("reward").is_finite()).then("reward").alias("reward"),
        "reason",
    )
    no_reward = pl.when(pl.col("reward").is_null()).then(pl.lit("no_reward"))
    rewards = rewards.with_columns(pl.coalesce("reason", no_reward).alias("reason"))
    if not rewards["reward"].count():
        found = ", ".join(f"{text[:60]!r}" for text in table["reward"].drop_nulls().head(3)) or "nothing"
        column = args.spec["columns"]["reward"]
        raise SystemExit(f"{name_of(args.spec)}: no response has a number in the column {column}, which has {found}")
    check_rows(rewards, responses["id"].to_list(), value="reward")
    write_table(rewards, args.output, {"responses": sha256(args.responses)})
    print(f"{args.teacher}: mean reward {rewards['reward'].mean()} over {rewards['reward'].count()} responses")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reward-model", required=True, help="name of the reward model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument(
        "--spec",
        type=json.loads,
        required=True,
        help="source of the rewards as JSON: path, columns, match, candidates ...",
    )
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the imported responses")
    parser.add_argument("--output", type=Path, required=True, help="parquet of rewards")
    return parser.parse_args()


if __name__ == "__main__":
    main()
