"""How large a correlation with measured AP can be, in words."""

import polars as pl


def ceiling_in_words(correlations: pl.DataFrame) -> str | None:
    """One sentence on correlations.csv; None without standard errors of AP."""
    known = correlations.drop_nulls("ceiling").unique("base", keep="first", maintain_order=True)
    if known.is_empty():
        return None
    ceilings = ", ".join(f"{base} {ceiling:.2f}" for base, ceiling in known.select("base", "ceiling").iter_rows())
    return f"Because AP has errors, even a perfect metric is expected to reach only about this rho: {ceilings}."
