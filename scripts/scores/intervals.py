"""Mean scores over judged prompts, with their intervals."""

import numpy as np

from scripts.scores.untrained import NO_SCORE

RESAMPLES, SEED = 2000, 0


def mean_in_percent(values: np.ndarray) -> dict:
    """value, se and ci (95 %, bootstrap) of 100 times the mean of values (shape (n,)); all None without values."""
    if not len(values):
        return NO_SCORE
    means = 100 * np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": 100 * values.mean(), "se": 100 * values.std(ddof=1) / len(values) ** 0.5, "ci": [low, high]}
