"""The sampling error of CAR over instructions, and what it means for the order of the teachers.

Arrays have teachers on the last axis.
"""

import numpy as np

from scripts.metrics.car import car

DRAWS, SEED = 10_000, 0
MIN_INSTRUCTIONS = 30  # with fewer, the mean may not be normally distributed and its error is not known well


def car_of_samples(r: np.ndarray, loss: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """CAR (teachers,) and the covariance (teachers, teachers) of its error, from rewards and losses (n, teachers).

    The influence of a row on CAR is the derivative of r / (1 + beta L) at the means, times the row's distance to them.
    """
    mean_r, mean_loss = r.mean(0), loss.mean(0)
    influence = (r - mean_r - beta * car(mean_r, mean_loss, beta) * (loss - mean_loss)) / (1 + beta * mean_loss)
    return car(mean_r, mean_loss, beta), np.atleast_2d(np.cov(influence, rowvar=False)) / len(r)


def noise(covariance: np.ndarray) -> np.ndarray:
    """Errors (DRAWS, teachers) with this covariance; the same random numbers in every call."""
    rng = np.random.default_rng(SEED)
    return rng.multivariate_normal(np.zeros(len(covariance)), covariance, DRAWS, method="eigh")


def p_first(means: np.ndarray, errors: np.ndarray, first: int) -> float:
    """The share of draws in which this teacher has a higher CAR than every other one; an equal CAR is not higher."""
    drawn = means + errors
    ahead = drawn[:, [first]] - np.delete(drawn, first, axis=1)
    return float((ahead > 1e-9 * np.abs(means).max()).all(1).mean())


def mean_tau(means: np.ndarray, errors: np.ndarray) -> float:
    """Kendall's tau between the order of a draw and the order of the means, averaged over draws; 1 for one teacher."""
    above, below = np.triu_indices(len(means), 1)
    drawn = means + errors
    same = np.sign(drawn[:, above] - drawn[:, below]) * np.sign(means[above] - means[below])
    return float(same.mean()) if len(above) else 1.0


def n_needed(n: int, means: np.ndarray, errors: np.ndarray, first: int, target: float) -> int | None:
    """The smallest number of instructions (two digits) at which the first teacher stays first with the target chance.

    Errors are proportional to 1 / sqrt(n). None if a million instructions are not enough.
    """
    sizes = (
        size
        for ten in (10, 100, 1000, 10_000, 100_000)
        for size in range(ten, 10 * ten, ten // 10)
        if size >= MIN_INSTRUCTIONS
    )
    reached = (size for size in sizes if p_first(means, errors * (n / size) ** 0.5, first) >= target)
    return next(reached, None)
