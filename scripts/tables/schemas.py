"""The columns of tables that several scripts write.

To add a column, add it here. Every script that writes the table then fails until it provides the column.
"""

import polars as pl

RESPONSES = {
    "id": pl.String,
    "candidate": pl.Int32,
    "teacher": pl.String,
    "response": pl.String,
    "turns": pl.String,
    "finish_reason": pl.String,
    "n_tokens": pl.Int64,
    "n_prompt_tokens": pl.Int64,
    "reason": pl.String,
}
THINKING = {"reasoning": pl.String, "n_thinking_tokens": pl.Int64}  # only in a table in which a row has them
MIXED_RESPONSES = RESPONSES | {"mixed_from": pl.String}
ANSWERS = {
    "id": pl.String,
    "benchmark": pl.String,
    "base": pl.String,
    "teacher": pl.String,
    "answer": pl.String,
    "finish_reason": pl.String,
    "n_tokens": pl.Int64,
    "reason": pl.String,
}
TURN = {"turn": pl.Int32}  # only in the answers to prompts of several turns: a row per turn, from 1


def conform(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The frame with the columns of the schema, in its order and with its dtypes, and those of THINKING with values.

    Raises ValueError naming columns that the frame lacks or that the schema does not have.
    """
    thinking = {name: dtype for name, dtype in THINKING.items() if name in frame.columns and frame[name].count()}
    frame, schema = frame.drop(THINKING.keys() - thinking.keys(), strict=False), schema | thinking
    missing = [name for name in schema if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in schema]
    if missing or unknown:
        found = ", ".join([*(f"no column {name}" for name in missing), *(f"unknown column {name}" for name in unknown)])
        raise ValueError(f"{found}: see scripts/tables/schemas.py")
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
