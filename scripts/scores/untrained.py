"""Pairs without a score because fine-tuning gave no model."""

import polars as pl

NO_SCORE = {"value": None, "se": None, "ci": None}


def untrained(judgments: pl.DataFrame) -> bool:
    """Whether nothing was judged because fine-tuning gave no model."""
    return judgments.height > 0 and (judgments["reason"] == "not_trained").fill_null(False).all()
