"""Win rates from a judge's verdicts in two games per question, for both versions of Arena-Hard."""

from collections.abc import Callable

import numpy as np
import polars as pl

from scripts.judgments.pairwise_verdicts import WEIGHTS, games

RESAMPLES, SEED = 2000, 0
DECIDED = {"identical": "A=B", "empty": {1: "A>>B", 2: "B>>A"}}  # an empty answer loses clearly in both games


def with_verdicts(judgments: pl.DataFrame, read: Callable[[dict], str | None]) -> pl.DataFrame:
    """The judgments with the verdict of each game, one of the five; null if nothing can be read."""
    verdicts = [verdict_of(row, read) for row in judgments.iter_rows(named=True)]
    return judgments.with_columns(pl.Series("verdict", verdicts, pl.String))


def verdict_of(row: dict, read: Callable[[dict], str | None]) -> str | None:
    if row["decided"] == "empty":
        return DECIDED["empty"][row["game"]]
    found = DECIDED.get(row["decided"]) if row["decided"] else read(row)
    return found if found in WEIGHTS else None


def count_questions(judgments: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Weighted wins, ties and losses of the model, shape (questions, 3), and games without a verdict, (questions,)."""
    both = judgments.pivot("game", index="id", values="verdict", maintain_order=True)
    counts = np.array([games(row["1"], row["2"]) for row in both.iter_rows(named=True)])
    return counts, both.select(pl.sum_horizontal(pl.col("1", "2").is_null())).to_series().to_numpy()


def win_rate(counts: np.ndarray, n_unparsed: np.ndarray) -> dict:
    """Percentage of wins (a tie counts half), with its standard error and 95 % interval over questions.

    counts, n_unparsed: see count_questions. The interval covers that all games that do not count were lost, or won, at
    the mean weight of a game.
    """
    drawn = np.random.default_rng(SEED).integers(len(counts), size=(RESAMPLES, len(counts)))
    weight = counts.sum() / (2 * len(counts) - n_unparsed.sum())
    unknown = np.outer(n_unparsed * weight, [1, 0, 0])
    return {
        "value": float(share(counts.sum(0))),
        "se": float(np.nanstd(share(counts[drawn].sum(1)), ddof=1)),
        "ci": [
            float(np.quantile(share((counts + unknown[:, ::-1])[drawn].sum(1)), 0.025)),
            float(np.quantile(share((counts + unknown)[drawn].sum(1)), 0.975)),
        ],
    }


def share(counts: np.ndarray) -> np.ndarray:
    """Wins and half of the ties in percent; counts: wins, ties and losses in the last dimension."""
    with np.errstate(invalid="ignore"):  # NaN for a sample in which no game has a verdict
        return 100 * (counts[..., 0] + counts[..., 1] / 2) / counts.sum(-1)
