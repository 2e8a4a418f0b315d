"""What the responses of the teachers cost, as the page and the printed tables show it."""

import polars as pl

DOLLARS = ["usd", "all_usd"]


def with_dollars(teachers: pl.DataFrame, costs: pl.DataFrame | None) -> pl.DataFrame:
    """The teachers of a ranking with the columns of DOLLARS and `estimated`, if dollars of any of them are known."""
    if costs is None or costs["usd"].null_count() == costs.height:
        return teachers
    dollars = costs.select("teacher", *DOLLARS, "estimated")
    return teachers.join(dollars, on="teacher", how="left", maintain_order="left")


def known_costs(costs: pl.DataFrame) -> pl.DataFrame:
    """The columns of response_costs.csv that have a value for any teacher; those of the texts below are left out."""
    known = [name for name in costs.columns if costs[name].null_count() < costs.height]
    return costs.select(name for name in known if name not in ("all_instructions", "estimated"))


def costs_in_words(costs: pl.DataFrame) -> str:
    """What the columns mean, and for which teachers tokens had to be estimated."""
    parts = []
    if costs["gpu_hours"].count():
        parts.append("GPU-hours are estimated from size and tokens, as in the plan.")
    if costs["usd"].count() or costs["gpu_hours"].count():
        n = costs["all_instructions"].drop_nulls().first()
        parts.append(f"Columns with all: for all {n:,} instructions at the same mean tokens.")
    guessed = costs.filter(pl.col("estimated") > 0).select("teacher", "estimated").rows()
    if guessed:
        shares = ", ".join(f"{teacher} ({share:.0%})" for teacher, share in guessed)
        parts.append(f"Tokens that an endpoint did not report are estimated from the length of texts: {shares}.")
    return " ".join(parts)
