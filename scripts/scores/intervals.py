"""Mean scores over judged prompts, with their intervals."""

import numpy as np

from scripts.scores.no_score import NO_SCORE

RESAMPLES, SEED = 2000, 0


def mean_in_percent(values: np.ndarray, n_unparsed: int = 0) -> dict:
    """value, se and ci (95 %, bootstrap) of 100 times the mean of values (shape (n,)); all None without values.

    `n_unparsed` further values, 0 to 1, are not known. The interval covers them: its lower end is that of the mean if
    all of them were 0, its upper end if all were 1.
    """
    if not len(values):
        return NO_SCORE
    low, high = (
        np.quantile(means(np.append(values, np.full(n_unparsed, unknown))), quantile)
        for unknown, quantile in ((0.0, 0.025), (1.0, 0.975))
    )
    return {"value": 100 * values.mean(), "se": 100 * values.std(ddof=1) / len(values) ** 0.5, "ci": [low, high]}


def means(values: np.ndarray) -> np.ndarray:
    """Means in percent of RESAMPLES samples with replacement."""
    return 100 * np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values))).mean(1)
