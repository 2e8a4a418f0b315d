"""What a base model is fine-tuned on: token ids, and labels on the response alone."""

from pathlib import Path

import polars as pl

from chat import Chat
from tables import read_table


def read_pairs(instructions: Path, responses: Path) -> pl.DataFrame:
    """instruction, response, finish_reason and reason of every response, in the order of the instructions."""
    return read_table(responses).join(
        read_table(instructions).select("id", "instruction"), on="id", validate="1:1", maintain_order="left"
    )


def encode_examples(chat: Chat, pairs: pl.DataFrame, max_length: int) -> tuple[list[dict], dict[str, int]]:
    """input_ids and labels of each usable pair, -100 on the prompt, and how many pairs went where.

    A pair longer than max_length keeps its start; one without a response token left is dropped.
    """
    examples, truncated, dropped = [], 0, 0
    usable = pairs.filter(pl.col("reason").is_null())
    for row in usable.iter_rows(named=True):
        prompt, text, end = chat.example(row["instruction"], row["response"], row["finish_reason"])
        ids = (prompt + text + end)[:max_length]
        if len(ids) <= len(prompt):
            dropped += 1
            continue
        truncated += len(ids) < len(prompt + text + end)
        examples.append({"input_ids": ids, "labels": [-100] * len(prompt) + ids[len(prompt) :]})
    counts = {"n_examples": len(examples), "n_truncated": truncated, "n_dropped_prompt_fills_max_length": dropped}
    return examples, counts | {"n_set_aside": pairs.height - usable.height}
