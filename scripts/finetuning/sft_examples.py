"""What a base model is fine-tuned on: token ids, with labels on the response only."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl

from scripts.models.chat import Chat, Unrenderable
from scripts.tables.files import read_table


def read_pairs(instructions: Path, responses: Path) -> pl.DataFrame:
    """instruction, response, finish_reason and reason of every response, in the order of the instructions."""
    return read_table(responses).join(
        read_table(instructions).select("id", "instruction"), on="id", validate="1:1", maintain_order="left"
    )


def encode_examples(chat: Chat, pairs: pl.DataFrame, max_length: int) -> tuple[list[dict], dict[str, int]]:
    """input_ids and labels (-100 on the prompt) of each usable pair, and counts of the used and unused pairs.

    A pair longer than max_length is truncated to its start. It is dropped if no response token remains, or if the
    chat template refuses its texts.
    """
    examples, truncated, dropped, unrenderable = [], 0, 0, 0
    usable = pairs.filter(pl.col("reason").is_null())
    for row in usable.iter_rows(named=True):
        try:
            prompt, text, end = chat.example(row["instruction"], row["response"], row["finish_reason"])
        except Unrenderable:
            unrenderable += 1
            continue
        ids = (prompt + text + end)[:max_length]
        if len(ids) <= len(prompt):
            dropped += 1
            continue
        truncated += len(ids) < len(prompt + text + end)
        examples.append({"input_ids": ids, "labels": [-100] * len(prompt) + ids[len(prompt) :]})
    counts = {"n_examples": len(examples), "n_truncated": truncated, "n_dropped_prompt_fills_max_length": dropped}
    return examples, counts | {"n_unrenderable": unrenderable, "n_set_aside": pairs.height - usable.height}


def digest_of_examples(examples: list[dict]) -> str:
    """SHA-256 of the ids and labels of all examples, in their order."""
    total = hashlib.sha256()
    for example in examples:
        for name in ("input_ids", "labels"):
            total.update(np.array([len(example[name]), *example[name]], np.int64).tobytes())
    return total.hexdigest()
