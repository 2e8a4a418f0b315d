"""How the first teacher depends on the settings of CAR, in words."""

import polars as pl


def in_words(sensitivity: pl.DataFrame) -> str:
    """Which teacher of one base has the highest CAR, by reward model and transform, for each interval of beta."""
    settings = sensitivity.group_by("reward_model", "transform", maintain_order=True)
    return " ".join(
        f"By {reward_model if transform == 'none' else f'the {transform} of {reward_model}'}: {intervals(rows)}."
        for (reward_model, transform), rows in settings
    )


def intervals(rows: pl.DataFrame) -> str:
    """x for beta below 0.4, then y below 3, then z."""
    if rows.height == 1:
        return f"{rows['first'][0]} for every beta"
    *before, last = rows.select("first", "beta_to").iter_rows()
    return "".join(f"{first} for beta below {end:.2g}, then " for first, end in before) + last[0]
