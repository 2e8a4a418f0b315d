"""Means of judged prompts, with intervals."""

import numpy as np

from scripts.scores.untrained import NO_SCORE

RESAMPLES, SEED = 2000, 0


def mean_in_percent(values: np.ndarray) -> dict:
    """100 times the mean of values (n), its standard error and its 95 % interval; nothing of none."""
    if not len(values):
        return NO_SCORE
    means = 100 * np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": 100 * values.mean(), "se": 100 * values.std(ddof=1) / len(values) ** 0.5, "ci": [low, high]}
