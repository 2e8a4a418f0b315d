"""Rewards of conversations by a sequence classifier with one output."""

import math
from contextlib import contextmanager
from itertools import count

import torch
from transformers import AutoModelForSequenceClassification

from scripts.models.chat import Chat, load_tokenizer
from scripts.models.loading import batches, context_length, halve_if_out_of_memory, load_model, pad_left

VERSION = 1
BLOCK = 512


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
        rewards = halve_if_out_of_memory(lambda rows: forward(model, rows, output), [ids[i] for i in numbers])
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
