"""Score teachers' responses with a reward model.

python -m scripts.rewards.score_rewards --reward-model right-answer --teachers terse-large terse-small \
    --model '{"model": "results/world/right-answer"}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-{large,small}.parquet \
    --store results/miniature/rows/rewards/right-answer \
    --outputs results/miniature/rewards/right-answer/terse-{large,small}.parquet

The model is loaded once for all teachers, and only if a row is missing in the store. It is any sequence classifier with
one output, and reads instruction and response as its own chat template renders them. The reward is the raw output,
without a sigmoid.
"""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl

from scripts.configuration.entries import REWARD_MODEL_KEYS, entry_of
from scripts.jobs.aligned import aligned
from scripts.jobs.code import declared
from scripts.models.folder import key_of
from scripts.tables.conversations import CONVERSATION, PROMPT, filled
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.row_store import RowStore

VERSION = 1  # of the table; the rows have that of the module that computes them
ROWS = "scripts.models.reward_scorer"


def main():
    args = parse_args()
    key, load = key_of(args.model), cache(lambda: scorer_of(args.model))
    for teacher, *files in aligned(args, "teachers", "instructions", "responses", "outputs"):
        score(args.reward_model, teacher, RowStore(args.store / teacher, key, declared(ROWS, "VERSION")), load, *files)


def scorer_of(model: dict) -> Callable:
    from scripts.models.reward_scorer import load_scorer  # it loads torch, which stored rows do not need

    return load_scorer(model)


def score(
    reward_model: str, teacher: str, store: RowStore, load: Callable, instructions: Path, responses: Path, output: Path
) -> None:
    """Write the rewards of one teacher's responses; load: loads the scorer of the reward model."""
    answers = read_table(responses)
    prompts = read_table(instructions).select("id", *PROMPT)
    conversations = answers.join(prompts, on="id", validate="m:1", maintain_order="left")
    rows = conversations.filter(pl.col("reason").is_null()).select("id", "candidate", *CONVERSATION)
    results = store.fill(filled(rows.to_dicts()), load, declared(ROWS, "BLOCK"))
    scored = rows.select("id", "candidate").hstack(
        pl.DataFrame(results, schema={"reward": pl.Float64, "unusable": pl.String})
    )
    rewards = answers.join(scored, on=["id", "candidate"], how="left", validate="1:1", maintain_order="left").select(
        "id",
        "candidate",
        "teacher",
        pl.lit(reward_model).alias("reward_model"),
        "reward",
        pl.coalesce("reason", "unusable").alias("reason"),
    )
    check_rows(rewards, answers["id"].to_list(), value="reward")
    write_table(rewards, output, {f"reward model {reward_model}": store.key, "responses": sha256(responses)})
    print(f"{teacher}: mean reward {rewards['reward'].mean()} over {rewards['reward'].count()} responses")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reward_model = entry_of("reward_model", *REWARD_MODEL_KEYS)
    parser.add_argument("--reward-model", required=True, help="name of the reward model in the config")
    parser.add_argument("--teachers", nargs="+", required=True, help="names of the teachers in the config")
    parser.add_argument("--model", type=reward_model, required=True, help="model, revision, batch_tokens ... as JSON")
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row stores of the teachers")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of rewards, one per teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
