"""What becomes of thinking in the rows of a table, as the key `reasoning` of the configuration says."""

import json

import polars as pl

from scripts.tables.conversations import as_json, as_text
from scripts.tables.thinking import MARK, Parts, begins_inside, divide, joined, with_thinking

STRIP, KEEP, SEPARATE = MODES = ("strip", "keep", "separate")
BUDGET = "thinking_used_the_budget"
CHANGED = ("reasoning", "reason", "n_thinking_tokens")
READABLE = (None, "undecodable")  # reasons of texts that are kept


def with_reasoning(rows: pl.DataFrame, mode: str, column: str = "response") -> pl.DataFrame:
    """The rows with thinking left out of the column of texts (strip), in one form in it (keep), or beside it.

    rows: a text, finish_reason, reason, n_tokens and reasoning (thinking that a server or a table had beside the text),
    and maybe turns and n_thinking_tokens. `reasoning` is null afterwards, except with separate. A text whose thinking
    has no end, or that has nothing behind it because it was cut, is no answer: its reason is
    thinking_used_the_budget. n_thinking_tokens is estimated from the lengths of the texts where it is not known. A row
    without thinking is unchanged.
    """
    known = "n_thinking_tokens" in rows.columns
    rows = rows if known else rows.with_columns(n_thinking_tokens=pl.lit(None, pl.Int64))
    inside = most_begin_inside(rows[column])
    beside = pl.col("reasoning").str.strip_chars() != ""
    thinks = pl.col(column).is_not_null() if inside else pl.col(column).str.contains(MARK)
    if "turns" in rows.columns:
        thinks |= pl.col("turns").cast(pl.String).str.contains('"reasoning_content"').fill_null(False)
    thinks = rows.select(thinks.fill_null(False) | beside.fill_null(False)).to_series()
    if not thinks.any():
        return rows.with_columns(reasoning=pl.lit(None, pl.String))
    changed = iter([in_mode(row, mode, column, inside) for row in rows.filter(thinks).iter_rows(named=True)])
    values = [next(changed) if found else {"reasoning": None} for found in thinks]
    names = [name for name in (column, "turns", *CHANGED) if name in rows.columns]
    new = {name: [value.get(name, old) for value, old in zip(values, rows[name], strict=True)] for name in names}
    return rows.with_columns(pl.Series(name, new[name], rows.schema[name]) for name in names)


def most_begin_inside(texts: pl.Series) -> bool:
    """Whether more than half of the texts have only the closing tag: one without any tag was then cut in thinking."""
    texts = texts.drop_nulls()
    marked = texts.filter(texts.str.contains(MARK))
    return sum(map(begins_inside, marked)) > len(texts) / 2


def in_mode(row: dict, mode: str, column: str, inside: bool) -> dict:
    """The changed values of one row. inside: a text without tags is all thinking."""
    if row["reason"] not in (*READABLE, "empty", "no_response"):
        return {"reasoning": None}
    if row.get("turns"):
        return in_mode_of_turns(row, mode, column)
    parts = parts_of(row[column], row["reasoning"], inside)
    counted = row["n_thinking_tokens"]
    n_thinking = {"n_thinking_tokens": estimate(row, parts) if counted is None else counted}
    if not (parts.answer or "").strip():
        unended = parts.answer is None or row["finish_reason"] == "length" or row["reason"] in ("empty", "no_response")
        return {column: None, "reason": BUDGET if unended else "empty", "reasoning": None} | n_thinking
    text = with_thinking(parts) if mode == KEEP else parts.answer
    reasoning = parts.thinking if mode == SEPARATE else None
    return {column: text, "reason": reason_of(f"{text}{reasoning}"), "reasoning": reasoning} | n_thinking


def in_mode_of_turns(row: dict, mode: str, column: str) -> dict:
    """The changed values of a row with several messages: each message of the assistant has its own thinking."""
    turns = json.loads(row["turns"])
    for message in turns:
        if message["role"] != "assistant":
            continue
        parts = parts_of(message["content"], message.pop("reasoning_content", None), inside=False)
        if parts.answer is None:
            return {column: None, "turns": None, "reason": BUDGET, "reasoning": None}
        message["content"] = with_thinking(parts) if mode == KEEP else parts.answer
        if mode == SEPARATE and parts.thinking:
            message["reasoning_content"] = parts.thinking
    text = as_text(turns)
    return {column: text, "turns": as_json(turns), "reason": reason_of(text), "reasoning": None}


def parts_of(text: str | None, beside: str | None, inside: bool) -> Parts:
    """Thinking and answer of a text and of the thinking beside it."""
    parts = divide(text or "")
    if inside and parts.thinking is None and not beside and not begins_inside(text or ""):
        return Parts(text, None)
    return Parts(joined([beside or "", parts.thinking or ""]), parts.answer)


def estimate(row: dict, parts: Parts) -> int | None:
    """Tokens of the thinking: its share of the characters, of the tokens of the row."""
    if not parts.thinking or row["n_tokens"] is None:
        return None
    return round(row["n_tokens"] * len(parts.thinking) / (len(parts.thinking) + len(parts.answer or "")))


def reason_of(text: str) -> str | None:
    return "undecodable" if "\ufffd" in text else None
