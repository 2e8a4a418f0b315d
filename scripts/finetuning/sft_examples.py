"""What a base model is fine-tuned on: token ids, with labels on the response only."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl

from scripts.models.chat import Chat
from scripts.models.template import Unrenderable
from scripts.tables.conversations import PROMPT
from scripts.tables.files import read_table


def read_pairs(instructions: Path, responses: Path) -> pl.DataFrame:
    """Instruction, response, finish_reason and reason of each response to these instructions, in their order."""
    return read_table(responses).join(
        read_table(instructions).select("id", *PROMPT), on="id", validate="1:1", maintain_order="left"
    )


def encode_examples(chat: Chat, pairs: pl.DataFrame, max_length: int) -> tuple[list[dict], dict[str, int]]:
    """input_ids and labels (-100 outside the assistant's messages) of each usable pair, and counts of all pairs.

    A pair longer than max_length is truncated to its start. It is dropped if no response token remains, or if the
    chat template refuses its texts.
    """
    examples, truncated, dropped, unrenderable = [], 0, 0, 0
    usable = pairs.filter(pl.col("reason").is_null())
    for row in usable.iter_rows(named=True):
        try:
            ids, labels = ids_and_labels(chat.turns(row))
        except Unrenderable:
            unrenderable += 1
            continue
        if all(label == -100 for label in labels[:max_length]):
            dropped += 1
            continue
        truncated += len(ids) > max_length
        examples.append({"input_ids": ids[:max_length], "labels": labels[:max_length]})
    counts = {"n_examples": len(examples), "n_truncated": truncated, "n_dropped_prompt_fills_max_length": dropped}
    return examples, counts | {"n_unrenderable": unrenderable, "n_set_aside": pairs.height - usable.height}


def ids_and_labels(turns: list[tuple[list[int], list[int], list[int]]]) -> tuple[list[int], list[int]]:
    """The ids of all turns, and their labels: the ids of each text and end of turn, -100 before them."""
    ids = [token for turn in turns for part in turn for token in part]
    labels = [label for context, text, end in turns for label in [-100] * len(context) + text + end]
    return ids, labels


def digest_of_examples(examples: list[dict]) -> str:
    """SHA-256 of the ids and labels of all examples, in their order."""
    total = hashlib.sha256()
    for example in examples:
        for name in ("input_ids", "labels"):
            total.update(np.array([len(example[name]), *example[name]], np.int64).tobytes())
    return total.hexdigest()
