"""How the first teacher depends on the settings of CAR, in words."""

from collections import Counter

import polars as pl


def in_words(sensitivity: pl.DataFrame, first: str) -> str:
    """How often the first teacher of one base stays first, and which other teachers are first."""
    counts = Counter(sensitivity["first"])
    choices = f"{sensitivity.height} choices of beta (0 to 100), reward model and transform"
    others = "".join(f", {n} {name}" for name, n in counts.most_common() if name != first)
    if not others:
        return f"All {choices} put {first} first."
    return f"Of {choices}, {counts[first]} put {first} first{others}."
