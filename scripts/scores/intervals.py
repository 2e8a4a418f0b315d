"""Mean scores over judged prompts, with their intervals."""

import numpy as np

from scripts.scores.no_score import NO_SCORE

RESAMPLES, SEED = 2000, 0


def mean_in_percent(values: np.ndarray, n_unparsed: int = 0) -> dict:
    """scaled_mean of values (n,) from 0 to 1, in percent."""
    return scaled_mean(values, n_unparsed, least=0.0, most=1.0, scale=100)


def scaled_mean(values: np.ndarray, n_unparsed: int, least: float, most: float, scale: float) -> dict:
    """value, se and ci (95 %, bootstrap) of scale times the mean of values (shape (n,)); all None without values.

    `n_unparsed` further values, least to most, are not known. The interval covers them: its lower end is that of the
    mean if all of them were the least, its upper end if all were the most.
    """
    if not len(values):
        return NO_SCORE
    low, high = (
        np.quantile(scale * means(np.append(values, np.full(n_unparsed, unknown))), quantile)
        for unknown, quantile in ((least, 0.025), (most, 0.975))
    )
    return {"value": scale * values.mean(), "se": scale * values.std(ddof=1) / len(values) ** 0.5, "ci": [low, high]}


def means(values: np.ndarray) -> np.ndarray:
    """Means of RESAMPLES samples with replacement."""
    return np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values))).mean(1)
