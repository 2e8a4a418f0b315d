"""The nll of prompts: computed with the first teacher's response to each, and taken from there for the others.

For a small model with a large vocabulary, the output head at the positions of a long prompt takes longer than all else.
"""

from scripts.tables.digests import digest

PROMPT = ("instruction", "messages", "tools")  # of a row: what the ids before the response are made of
Known = dict[str, tuple[int, float]]  # key_of_prompt to prompt_n_tokens and prompt_nll


def key_of_prompt(row: dict) -> str | None:
    """Identifies the prompt of a row; None for several turns, with parts of the response between prompts."""
    return None if row.get("turns") else digest([row.get(name) for name in PROMPT])


def remember(known: Known, rows: list[dict], results: list[dict]) -> None:
    """Add the prompts of rows with a result."""
    for row, result in zip(rows, results, strict=True):
        if result["prompt_nll"] is not None and (key := key_of_prompt(row)):
            known.setdefault(key, (result["prompt_n_tokens"], result["prompt_nll"]))
