"""Answers to instructions by a named engine, through the row store."""

from pathlib import Path

import polars as pl

import engine_transformers
from model_folder import identity
from rows import RowStore

ENGINES = {"transformers": engine_transformers.load}

BLOCK = 512  # rows stored at a time: what a killed job may have to do again


def answer_instructions(instructions: pl.DataFrame, spec: dict, store_folder: Path) -> pl.DataFrame:
    """id, text, finish_reason, n_tokens, reason: one row per instruction, in their order.

    `instructions` has the columns id and instruction; `spec` is what an engine's `load` takes, and
    the engine's name.
    """
    store = RowStore(store_folder, {**spec, "files": identity(spec)})

    def load():
        generate = ENGINES[spec["engine"]](spec)
        return lambda rows: generate([row["instruction"] for row in rows])

    answers = store.fill(instructions.select("id", "instruction").to_dicts(), load, BLOCK)
    columns = {"text": pl.String, "finish_reason": pl.String, "n_tokens": pl.Int64, "reason": pl.String}
    return instructions.select("id").hstack(pl.DataFrame(answers, schema=columns))
