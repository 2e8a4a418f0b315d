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


def conform(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The frame with the columns of the schema, in its order and with its dtypes.

    Raises ValueError naming columns that the frame lacks or that the schema does not have.
    """
    missing = [name for name in schema if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in schema]
    if missing or unknown:
        found = ", ".join([*(f"no column {name}" for name in missing), *(f"unknown column {name}" for name in unknown)])
        raise ValueError(f"{found}: see scripts/tables/schemas.py")
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
