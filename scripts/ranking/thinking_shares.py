"""How much teachers think, and how often their thinking used up all tokens, for the table of teachers."""

from pathlib import Path

import polars as pl

from scripts.metrics.definitions import MAX_CUT
from scripts.tables.files import read_table
from scripts.tables.reasoning import BUDGET
from scripts.tables.schemas import THINKING

SHARES = {"teacher": pl.String, "thinking_tokens": pl.Float64, "cut_in_thinking": pl.Float64}
ADVICE = "thinking often used up all tokens: raise max_new_tokens"


def with_thinking_shares(teachers: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """The ranked teachers of a base with SHARES before their note; unchanged if no teacher thinks."""
    if not shares.height:
        return teachers
    joined = teachers.join(shares, on="teacher", how="left", maintain_order="left")
    often_cut = pl.when(pl.col("cut_in_thinking") > MAX_CUT).then(pl.lit(ADVICE))
    note = pl.concat_str("note", often_cut, separator="; ", ignore_nulls=True)
    return joined.drop("note").with_columns(joined.select(note=pl.when(note != "").then(note)))


def thinking_shares(paths: list[Path]) -> pl.DataFrame:
    """SHARES of the teachers that think, from the tables of all teachers' responses.

    thinking_tokens: mean over the responses with thinking, null if their tokens are not known. cut_in_thinking: share
    of all rows.
    """
    found = [shares_of(path) for path in paths]
    return pl.DataFrame([share for share in found if share], schema=SHARES)


def shares_of(path: Path) -> dict | None:
    """SHARES of one teacher; None if it does not think."""
    known = THINKING.keys() & pl.read_parquet_schema(path).keys()
    rows = read_table(path, columns=["teacher", "reason", *known])
    cut = rows["reason"].eq_missing(BUDGET)
    if not known and not cut.any():
        return None
    tokens = rows["n_thinking_tokens"].mean() if "n_thinking_tokens" in known else None
    return {"teacher": rows["teacher"][0], "thinking_tokens": tokens, "cut_in_thinking": cut.mean()}
