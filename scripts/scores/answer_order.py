"""Whether a judge follows the answers or the order in which it sees them."""

import numpy as np
import polars as pl

from scripts.judgments.pairwise_verdicts import POINTS

MIN_JUDGMENTS = 20  # with fewer, a judge may prefer one side by chance
ONE_SIDED = 0.95


def first_preferred(points: np.ndarray) -> dict:
    """first_preferred: how often the judge prefers the answer that it sees first; a warning if it nearly always does.

    points: for each judgment, 1 if the first answer is the better one, 0 if the second one is, 0.5 for a tie; between
    them for a preference. Ties do not count. The share is None without a judgment; each answer is first in about half
    of the judgments, so that a good judge has about 0.5.
    """
    decided = points[points != 0.5]
    share = float((decided > 0.5).mean()) if len(decided) else None
    if len(decided) < MIN_JUDGMENTS or 1 - ONE_SIDED < share < ONE_SIDED:
        return {"first_preferred": share}
    side, percent = ("first", share) if share > 0.5 else ("second", 1 - share)
    warning = f"the judge prefers the answer that it sees {side} in {percent:.0%} of its judgments, whatever it says"
    return {"first_preferred": share, "warning": warning}


def games_in_order(judgments: pl.DataFrame) -> dict:
    """first_preferred of a judge's verdicts in two games, and orders_agree.

    judgments: id, game, decided and verdict. orders_agree: the share of questions whose two games have the same result
    for the model, a win, a tie or a loss, among those with two verdicts of the judge; None without any.
    """
    asked = judgments.filter(pl.col("decided").is_null(), pl.col("verdict").is_in(list(POINTS)))
    points = asked.with_columns(first=pl.col("verdict").replace_strict(POINTS, return_dtype=pl.Float64))
    both = points.pivot("game", index="id", values="first").select(pl.col("^[12]$")).drop_nulls()
    agree = float((both["1"] + both["2"] == 1).mean()) if both.width == 2 and both.height else None
    return {"orders_agree": agree, **first_preferred(points["first"].to_numpy())}
