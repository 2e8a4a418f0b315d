"""Pairs without a score: fine-tuning gave no model, or too many judgments cannot be read."""

import polars as pl

NO_SCORE = {"value": None, "se": None, "ci": None}


def untrained(judgments: pl.DataFrame) -> bool:
    """Whether nothing was judged because fine-tuning gave no model."""
    return judgments.height > 0 and (judgments["reason"] == "not_trained").fill_null(False).all()


def unparsed_reasons(judgments: pl.DataFrame, read: pl.Series, unread: str) -> dict[str, int]:
    """Reason to number of the judgments without a value in `read`. unread: the reason if the judge's text has none."""
    reasons = judgments.filter(read.is_null())["reason"].fill_null(unread)
    return dict(sorted(reasons.value_counts().rows(), key=lambda counted: (-counted[1], counted[0])))


def too_few(
    judgments: pl.DataFrame, reasons: dict[str, int], n: int, max_unparsed: float, at_least: int = 2
) -> str | None:
    """Why a pair has no score, in one line: its trained model is missing, or its judgments are; None if it has one.

    reasons: see unparsed_reasons. n: prompts with a value, and at_least: how many are needed. max_unparsed: the largest
    share of judgments that may be without a value.
    """
    if untrained(judgments):
        return "not_trained"
    missing = sum(reasons.values())
    causes = ", ".join(f"{reason} ({n})" for reason, n in reasons.items())
    if missing > max_unparsed * judgments.height:
        return f"{missing} of {judgments.height} judgments cannot be read, more than {max_unparsed:.0%}: {causes}"
    if n < at_least:
        return f"prompts with a judgment: {n}, and at least {at_least} are needed" + (f": {causes}" if causes else "")
    return None
