"""Whether larger teachers are better, in words."""

import polars as pl


def worse_steps(steps: pl.DataFrame) -> str | None:
    """One sentence on size_steps.csv; None if it has no rows."""
    if steps.is_empty():
        return None
    worse = steps["inverted"].sum()
    return (
        f"Steps to the next size in a family at which the larger teacher is the worse one: {worse} of {steps.height}."
    )
