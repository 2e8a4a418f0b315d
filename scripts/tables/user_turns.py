"""Prompts of several turns: the user's messages, each of which a model answers before it reads the next (MT-Bench).

In a table of prompts `n_turns` is the number of the user's messages, and `messages` has them one after the other, if
they are several. Their `reference` is a list of texts as JSON, one for each turn.
"""

import json

import polars as pl

from scripts.tables.conversations import as_json, prompt_of, with_conversations


def with_user_turns(table: pl.DataFrame, source: dict) -> pl.DataFrame:
    """with_conversations, also for a source that names the column `user_turns`: lists of texts as JSON.

    It gives the table `n_turns`. `unreadable` may be not_turns (no list of texts) and not_references (no list of texts,
    or one that is longer than that of the turns; null, a list that is empty, and a text for a single turn are allowed).
    """
    if "user_turns" not in source["columns"]:
        return with_conversations(table, source)
    turns = [texts_in(cell) for cell in table["user_turns"]]
    messages = [as_json([{"role": "user", "content": text} for text in texts or []]) for texts in turns]
    table = table.drop("user_turns").with_columns(messages=pl.Series(messages, dtype=pl.String))
    table = with_conversations(table, source | {"columns": {**source["columns"], "messages": "user_turns"}})
    cells = table["reference"] if "reference" in table.columns else [None] * len(turns)
    references = [read_references(cell, texts or []) for cell, texts in zip(cells, turns, strict=True)]
    problems = [wrong(*pair) for pair in zip(turns, references, strict=True)]
    columns = {
        "unreadable": pl.Series(problems, dtype=pl.String).fill_null(table["unreadable"]),
        "n_turns": pl.Series([len(texts or []) for texts in turns], dtype=pl.Int32),
        "reference": pl.Series([as_json(texts) if texts else None for texts in references], dtype=pl.String),
    }
    return table.with_columns(**columns)


def wrong(turns: list[str] | None, references: list[str] | None) -> str | None:
    if not turns:
        return "not_turns"
    return "not_references" if references is None or len(references) > len(turns) else None


def texts_in(cell: str | None) -> list[str] | None:
    """The texts of a list as JSON; None if it is no list of texts."""
    try:
        texts = json.loads(cell or "")
    except ValueError:
        return None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None


def read_references(cell: str | None, turns: list[str]) -> list[str] | None:
    """The right answers of a prompt, in the order of its turns; None if they are no list of texts."""
    if not (cell or "").strip():
        return []
    if (texts := texts_in(cell)) is None and len(turns) == 1:
        return [cell]
    return texts


def references_of(prompt: dict) -> list[str]:
    """The right answer to each turn of a prompt, up to the last one that has one."""
    if not prompt.get("reference"):
        return []
    return json.loads(prompt["reference"]) if "n_turns" in prompt else [prompt["reference"]]


def asked_turns(prompt: dict, answers: list[str | None]) -> list[dict]:
    """The messages of a prompt with n_turns up to the next answer, with the answers to its first turns behind these."""
    messages = prompt_of(prompt)
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    first = len(messages) - prompt["n_turns"]  # behind the system prompt
    asked = messages[: first + 1]
    for answer, message in zip(answers, messages[first + 1 :], strict=False):
        asked += [{"role": "assistant", "content": answer or ""}, message]
    return asked
