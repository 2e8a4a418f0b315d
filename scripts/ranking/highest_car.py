"""The probability of having the highest CAR, and the number of instructions that settle it.

The teacher with the highest measured CAR is partly the one whose errors were favorable, so measured CARs are shrunk
towards each other (empirical Bayes). True CARs are normal around a common mean with standard deviation s, measured CARs
have errors with a known covariance, and only differences of CARs count. s is unknown: the prior of the shrinkage v /
(v + s^2), where v is the variance of an error, is uniform (Daniels, A prior for the variance in hierarchical models,
Canadian Journal of Statistics 27, 1999).

A teacher's probability is at most that of being ahead of each other one when the two are compared alone: teachers far
behind would otherwise make a small lead look large. To compare the first with each other one at a time is enough (Hung
and Fithian, Rank verification for exponential families, Annals of Statistics 47, 2019).

Arrays have teachers on the last axis; k is their number.
"""

from bisect import bisect_left

import numpy as np
from scipy.linalg import helmert
from scipy.stats import norm

DRAWS, SAMPLES, SEED = 10_000, 200, 0
MIN_INSTRUCTIONS = 100  # with fewer, rare low rewards are in the sample of some teachers only
POWER = 0.9  # share of samples that have to be settled
SHRINKAGE = (np.arange(40) + 0.5) / 40
SIZES = [size for ten in (100, 1000, 10_000, 100_000) for size in range(ten, 10 * ten, ten // 10)] + [1_000_000]


def true_cars(means: np.ndarray, covariance: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """Draws (samples, draws, k) of the true CARs, up to a constant of each draw, given measured ones (samples, k).

    covariance: (k, k), of the errors. In the basis of its eigenvectors the differences of CARs are independent.
    """
    rng = np.random.default_rng(SEED)
    samples, k = means.shape
    if k == 1:
        return np.zeros((samples, draws, 1))
    contrasts = helmert(k)
    variances, basis = np.linalg.eigh(contrasts @ covariance @ contrasts.T)
    variances = variances.clip(0)
    measured = means @ contrasts.T @ basis
    varies = variances > 1e-9 * variances.max()
    v = 1 / np.mean(1 / variances[varies]) if varies.any() else 1.0
    between = v * (1 - SHRINKAGE) / SHRINKAGE
    total = between[:, None] + variances[varies]
    log_likelihood = -0.5 * (np.log(total) + measured[:, None, varies] ** 2 / total).sum(-1)
    weights = np.exp(log_likelihood - log_likelihood.max(1, keepdims=True)).cumsum(1)
    chosen = (rng.random((samples, draws, 1)) * weights[:, None, -1:] > weights[:, None]).sum(-1)
    kept = between[chosen][..., None] / (between[chosen][..., None] + variances)
    noise = np.sqrt(kept * variances) * rng.standard_normal((samples, draws, k - 1))
    return (kept * measured[:, None] + noise) @ basis.T @ contrasts


def p_ahead(means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The probability (samples, k, k) that a teacher (second axis) has a higher CAR than another (third axis).

    From the two teachers alone, with the same prior. 0 if both were measured equal without an error of the difference.
    """
    gaps = means[:, :, None] - means[:, None, :]
    gaps = np.where(np.abs(gaps) > 1e-9 * np.abs(means).max(), gaps, 0)
    own = np.diag(covariance)
    errors = np.sqrt((own[:, None] + own - 2 * covariance).clip(0))
    exact = errors <= 1e-7 * np.sqrt(own.max())
    z = np.where(exact, 30 * np.sign(gaps), (gaps / np.where(exact, 1, errors)).clip(-30, 30))[..., None]
    weights = np.sqrt(SHRINKAGE) * np.exp(-SHRINKAGE * z**2 / 2)
    chances = (weights * norm.cdf(z * np.sqrt(1 - SHRINKAGE))).sum(-1) / weights.sum(-1)
    return np.where(exact & (gaps == 0), 0.0, chances)


def p_highest(means: np.ndarray, covariance: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """The probability (samples, k) of having the highest CAR; equal CARs are not the highest."""
    k = means.shape[-1]
    drawn = true_cars(means, covariance, draws)
    together = (drawn.argmax(-1)[..., None] == np.arange(k)).mean(1)
    return np.minimum(together, p_ahead_of_all(means, covariance))


def p_ahead_of_all(means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The probability (samples, k) of being ahead of the other teacher for which it is smallest."""
    itself = np.eye(means.shape[-1], dtype=bool)
    return np.where(itself, 1.0, p_ahead(means, covariance)).min(-1)


def tied(means: np.ndarray, covariance: np.ndarray, target: float) -> np.ndarray:
    """Indices of the teachers that may have the highest CAR besides the first one, best first. means: (k,).

    These are the teachers that the first is not ahead of with the target probability, compared alone; at least the
    second one, unless the first has the highest CAR with the target probability.
    """
    order = np.argsort(-means, kind="stable")
    first, others = order[0], order[1:]
    near = p_ahead(means[None], covariance)[0, first, others] < target
    if not near.any() and len(others) and p_highest(means[None], covariance)[0, first] < target:
        near[0] = True
    return others[near]


def mean_tau(means: np.ndarray, covariance: np.ndarray) -> float:
    """Kendall's tau between the order of a new sample of as many instructions and this order; 1 for one teacher."""
    rng = np.random.default_rng(SEED)
    above, below = np.triu_indices(len(means), 1)
    if not len(above):
        return 1.0
    errors = rng.multivariate_normal(np.zeros(len(means)), covariance, DRAWS, method="eigh")
    sample = true_cars(means[None], covariance)[0] + errors
    return float((np.sign(sample[:, above] - sample[:, below]) * np.sign(means[above] - means[below])).mean())


def n_needed(n: int | np.ndarray, means: np.ndarray, covariance: np.ndarray, target: float) -> int | None:
    """The smallest number of instructions (two digits) at which POWER of all samples would be settled.

    n: how many there are now, for all teachers or for each (k,). The true CARs are taken to be the shrunk ones. None if
    a million instructions are not enough.
    """
    of_one = covariance * np.sqrt(np.multiply.outer(n, n))  # the covariance with one instruction
    truth = true_cars(means[None], covariance)[0].mean(0)
    errors = np.random.default_rng(SEED).multivariate_normal(np.zeros(len(means)), covariance, SAMPLES, method="eigh")

    def reached(size: int) -> bool:
        samples, of_size = truth + errors * (n / size) ** 0.5, of_one / size
        possible = samples[p_ahead_of_all(samples, of_size).max(1) >= target]
        if len(possible) < POWER * SAMPLES:
            return False
        return (p_highest(possible, of_size, 1000).max(1) >= target).sum() >= POWER * SAMPLES

    found = bisect_left(SIZES, True, key=reached)
    return SIZES[found] if found < len(SIZES) else None
