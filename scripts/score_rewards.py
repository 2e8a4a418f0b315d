"""A reward model scores a teacher's responses.

python scripts/score_rewards.py --reward-model right-answer --teacher terse-large --model '{"model": ...}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet --store results/miniature/rows/rewards \
    --output results/miniature/rewards/right-answer/terse-large.parquet

Any sequence classifier with one output serves; it reads the conversation as its own chat template renders it. The
reward is the raw output, without a sigmoid.
"""

import argparse
import json
import math
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import polars as pl
import torch
from transformers import AutoModelForSequenceClassification

from chat import Chat, load_tokenizer
from model_folder import identity
from model_loading import batches, context_length, halving, load_model, pad_left
from rows import RowStore
from tables import check_rows, read_table, write_table

BLOCK = 512


def main():
    args = parse_args()
    responses = read_table(args.responses)
    instructions = read_table(args.instructions).select("id", "instruction")
    asked = responses.join(instructions, on="id", validate="m:1", maintain_order="left")
    rows = asked.filter(pl.col("reason").is_null()).select("id", "candidate", "instruction", "response")
    store = RowStore(args.store, {**args.model, "files": identity(args.model)})
    results = store.fill(rows.to_dicts(), lambda: load_scorer(args.model), BLOCK)
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
    write_table(rewards, args.output)
    print(f"{args.teacher}: mean reward {rewards['reward'].mean()} over {rewards['reward'].count()} responses")


def load_scorer(spec: dict):
    """The reward model's function from rows to rewards."""
    names = {key: spec[key] for key in ("model", "revision", "trust_remote_code")}
    chat = Chat(load_tokenizer(**names, chat_template=spec["chat_template"]))
    attention = {"attn_implementation": spec["attn_implementation"]} if spec["attn_implementation"] else {}
    model = load_model(AutoModelForSequenceClassification, **names, **attention)
    if spec["output"] == "logits" and model.config.num_labels != 1:
        raise SystemExit(f"{spec['model']} has {model.config.num_labels} outputs; a reward model has one")

    def score(rows: list[dict]) -> list[dict]:
        pairs = [(row["instruction"], row["response"]) for row in rows]
        return score_rows(chat, model, pairs, spec["batch_tokens"], spec["output"])

    return score


def score_rows(
    chat: Chat, model, pairs: list[tuple[str, str]], batch_tokens: int, output: str = "logits"
) -> list[dict]:
    """reward of each (instruction, response), or null and why: `over_long` for the model's context, `not_finite`."""
    ids = [chat.conversation(instruction, response) for instruction, response in pairs]
    results = [{"reward": None, "unusable": "over_long"} for _ in ids]
    fitting = [i for i, row in enumerate(ids) if len(row) <= context_length(model.config)]
    for batch in batches([len(ids[i]) for i in fitting], batch_tokens):
        numbers = [fitting[j] for j in batch]
        rewards = halving(lambda rows: forward(model, rows, output), [ids[i] for i in numbers])
        for i, reward in zip(numbers, rewards, strict=True):
            finite = math.isfinite(reward)
            results[i] = {"reward": reward if finite else None, "unusable": None if finite else "not_finite"}
    return results


@torch.inference_mode()
def forward(model, rows: list[list[int]], output: str) -> list[float]:
    """The classifier's output for each row of ids, from the field `output` of what it returns.

    A classifier takes its score at the last token that is not its padding token, and was trained so: that token is
    kept, even where it is the end of turn. One without a padding token takes the last token; for it, padding is an id
    that stands in no row. Either way a row scores in a batch as it does alone.
    """
    config = model.config.get_text_config()
    pad = config.pad_token_id
    if pad is None:
        used = {token for row in rows for token in row}
        pad = next(token for token in count() if token not in used)
    ids, mask, positions = pad_left(rows, pad)
    with padding_token(config, pad):
        scores = model(input_ids=ids, attention_mask=mask, position_ids=positions)[output]
    return scores.reshape(len(rows)).double().tolist()


@contextmanager
def padding_token(config, pad: int):
    """`config` with `pad` as its padding token for as long as the block lasts."""
    own, config.pad_token_id = config.pad_token_id, pad
    try:
        yield
    finally:
        config.pad_token_id = own


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reward-model", required=True, help="name of the reward model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--model", type=json.loads, required=True, help="model, revision, batch_tokens as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of rewards")
    return parser.parse_args()


if __name__ == "__main__":
    main()
