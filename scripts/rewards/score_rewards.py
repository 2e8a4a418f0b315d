"""Score a teacher's responses with a reward model.

python -m scripts.rewards.score_rewards --reward-model right-answer --teacher terse-large \
    --model '{"model": "results/world/right-answer"}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet --store results/miniature/rows/rewards \
    --output results/miniature/rewards/right-answer/terse-large.parquet

The reward model is any sequence classifier with one output. It reads instruction and response as its own chat template
renders them. The reward is the raw output, without a sigmoid.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.configuration.entries import REWARD_MODEL_KEYS, entry_of
from scripts.models.folder import key_of
from scripts.models.reward_scorer import BLOCK, load_scorer
from scripts.models.reward_scorer import VERSION as ROWS_VERSION
from scripts.tables.conversations import CONVERSATION, PROMPT, filled
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.row_store import RowStore

VERSION = 1  # of the table; the rows have that of the module that computes them


def main():
    args = parse_args()
    responses = read_table(args.responses)
    instructions = read_table(args.instructions).select("id", *PROMPT)
    conversations = responses.join(instructions, on="id", validate="m:1", maintain_order="left")
    rows = conversations.filter(pl.col("reason").is_null()).select("id", "candidate", *CONVERSATION)
    store = RowStore(args.store, key_of(args.model), ROWS_VERSION)
    results = store.fill(filled(rows.to_dicts()), lambda: load_scorer(args.model), BLOCK)
    scored = rows.select("id", "candidate").hstack(
        pl.DataFrame(results, schema={"reward": pl.Float64, "unusable": pl.String})
    )
    rewards = responses.join(scored, on=["id", "candidate"], how="left", validate="1:1", maintain_order="left").select(
        "id",
        "candidate",
        "teacher",
        pl.lit(args.reward_model).alias("reward_model"),
        "reward",
        pl.coalesce("reason", "unusable").alias("reason"),
    )
    check_rows(rewards, responses["id"].to_list(), value="reward")
    identity = {f"reward model {args.reward_model}": store.key, "responses": sha256(args.responses)}
    write_table(rewards, args.output, identity)
    print(f"{args.teacher}: mean reward {rewards['reward'].mean()} over {rewards['reward'].count()} responses")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reward_model = entry_of("reward_model", *REWARD_MODEL_KEYS)
    parser.add_argument("--reward-model", required=True, help="name of the reward model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--model", type=reward_model, required=True, help="model, revision, batch_tokens ... as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of rewards")
    return parser.parse_args()


if __name__ == "__main__":
    main()
