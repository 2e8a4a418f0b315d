"""Scores of one teacher's responses by one model: computed row by row, and written as a table with all responses."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from scripts.tables.conversations import CONVERSATION, PROMPT, filled
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.row_store import RowStore

NOT_SAMPLED = "not_sampled"  # the reason of rows that are not asked for


class Scores(NamedTuple):
    source: str  # the model, as tables name what they were computed from (scripts/tables/identity.py)
    columns: dict[str, pl.DataType]  # of a row
    value: str  # the column that is null only with a reason
    load: Callable  # returns the function from rows to results; it is called only if a row is missing in the store
    block: int  # rows stored at a time
    n: int | None = None  # instructions; all if it is None
    seen: Callable | None = None  # is given the rows of each teacher and their results


def write_scores(scores: Scores, store: RowStore, instructions: Path, responses: Path, output: Path) -> pl.DataFrame:
    """Write and return the scores of one teacher's responses: the columns, and a reason where they are null."""
    answers = read_table(responses)
    prompts = read_table(instructions).select("id", *PROMPT)
    asked = pl.col("id").is_in(first_by_digest(prompts["id"], scores.n))
    conversations = answers.join(prompts, on="id", validate="m:1", maintain_order="left")
    rows = conversations.filter(pl.col("reason").is_null(), asked).select("id", *CONVERSATION, "finish_reason")
    asked_rows = filled(rows.to_dicts())
    results = store.fill(asked_rows, scores.load, scores.block)
    if scores.seen:
        scores.seen(asked_rows, results)
    found = rows.select("id").hstack(pl.DataFrame(results, schema={**scores.columns, "unusable": pl.String}))
    table = answers.drop("n_tokens").join(found, on="id", how="left", validate="1:1", maintain_order="left")
    table = table.select(
        "id",
        pl.lit(scores.source.partition(" ")[2]).alias("model"),
        "teacher",
        "finish_reason",
        *scores.columns,
        pl.coalesce("reason", "unusable", pl.when(~asked).then(pl.lit(NOT_SAMPLED))).alias("reason"),
    )
    check_rows(table, answers["id"].to_list(), value=scores.value)
    write_table(table, output, {scores.source: store.key, "responses": sha256(responses)})
    return table


def first_by_digest(ids: pl.Series, n: int | None) -> list[str]:
    """The n ids with the lowest SHA-256 (all if n is None): the same for every teacher, and nested for a larger n."""
    return sorted(ids, key=lambda text: hashlib.sha256(text.encode()).hexdigest())[:n]
