"""The score of each student against the number of examples: a model of the curves of one base, and draws from it.

A curve has two ends, its score at the smallest size and its score at the target. Between them it follows n^-c, which is
a straight line in log n for c = 0, saturates for a larger c, and rises faster and faster for a smaller one:

    score(n) = h(n) first + (1 - h(n)) last,   h(n) = (n^-c - target^-c) / (smallest^-c - target^-c)

The curves of the teachers are normal around a common curve: both ends have a standard deviation and a correlation, and
each curve is off this form by a random walk, in proportion to how much the students learn from size to size: what they
have yet to learn may make new differences. What is measured has two errors: that of the prompts, which all students
share, and that of the seeds (ap_errors.py). So an extrapolation is shrunk towards the level, unless the pilots show a
slope: with a high correlation of both ends it is the level, with a low one the slope counts.

The hyperparameters are not fitted: HYPER draws from their prior are weighted by their marginal likelihood. The prior of
the shrinkage of the first end is uniform (Daniels, Canadian Journal of Statistics 27, 1999), as for CAR
(highest_car.py). The other priors were chosen on simulated curves (tests/test_pilots.py).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

HYPER, DRAWS, SEED = 256, 4000, 0
DIFFUSE = 1e6  # variance of the common curve's ends, in units of the error's variance: nothing is known of them
RATIO = 0.5  # standard deviation of the logarithm of the ratio of both ends' standard deviations
EXPONENTS = (-0.35, 1.0)  # range of c
WALK = 0.25  # largest standard deviation of the walk until the target, as a share of the rise of the common curve
UNSEEN_RISE = 0.3  # rise of the common curve as a share of its score, as long as there is only one size
COMMON_LACK = 0.2  # the same for the common curve, as a share of its rise


class Cells(NamedTuple):
    """What the pilots of one base measured, a cell for each teacher and size: the mean over its runs and prompts."""

    teacher: np.ndarray  # (cells,) number of the teacher
    size: np.ndarray  # (cells,) number of examples
    mean: np.ndarray  # (cells,) in points
    runs: np.ndarray  # (cells,) how many seeds
    prompts: np.ndarray  # (cells, cells) covariance of the means from prompts alone
    seeds: float  # variance of the mean of a single run over seeds
    freedom: int  # degrees of freedom of `seeds`

    def some(self, kept: np.ndarray) -> "Cells":
        """The cells of a mask (cells,)."""
        arrays = (value[kept] for value in (self.teacher, self.size, self.mean, self.runs))
        return Cells(*arrays, self.prompts[np.ix_(kept, kept)], self.seeds, self.freedom)

    def error_of_differences(self) -> float:
        """The mean variance of the error of a cell, without what all cells share."""
        n, diagonal = len(self.mean), np.diag(self.prompts)
        shared = (self.prompts.sum() - diagonal.sum()) / (n * (n - 1)) if n > 1 else 0.0
        own = max(float(diagonal.mean() - shared), 0.0) + self.seeds * float(np.mean(1 / self.runs))
        return own or 1e-6


class Points(NamedTuple):
    """Places on the curves: a teacher and a size each, both (points,)."""

    teacher: np.ndarray
    size: np.ndarray


def at_size(teachers: int, size: float) -> Points:
    return Points(np.arange(teachers), np.full(teachers, float(size)))


def draw_curves(cells: Cells, points: Points, target: float, draws: int = DRAWS) -> np.ndarray:
    """Draws (draws, points) from the posterior of the scores at the points, in points. The same every time."""
    unit = cells.error_of_differences()
    centre = cells.mean.mean()
    measured = (cells.mean - centre) / unit**0.5
    hyper, log_prior = prior(cells, measured, unit, target)
    n = len(measured)
    teacher = np.concatenate([cells.teacher, points.teacher])
    size = np.concatenate([cells.size, points.size])
    known = covariance(hyper, teacher, size, target, cells.size)
    error = cells.prompts / unit + scaled(hyper["seeds"], np.diag(cells.seeds / unit / cells.runs))
    root = np.linalg.cholesky(known[:, :n, :n] + error + 1e-6 * np.eye(n))
    of_all = np.broadcast_to(measured[:, None], (len(root), n, 1))
    white = np.linalg.solve(root, np.concatenate([of_all, known[:, :n, n:]], 2))
    log_weights = log_prior - 0.5 * (white[..., 0] ** 2).sum(1) - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
    weights = np.exp(log_weights - log_weights.max())
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(weights), draws, p=weights / weights.sum())
    used, of_draw = np.unique(chosen, return_inverse=True)
    gains = white[used, :, 1:].transpose(0, 2, 1)
    means = (gains @ white[used, :, :1])[..., 0]
    values, vectors = np.linalg.eigh(known[used, n:, n:] - gains @ gains.transpose(0, 2, 1))
    factor = vectors * np.sqrt(values.clip(0))[:, None]
    noise = rng.standard_normal((draws, len(points.size), 1))
    return centre + unit**0.5 * (means[of_draw] + (factor[of_draw] @ noise)[..., 0])


def prior(cells: Cells, measured: np.ndarray, unit: float, target: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """HYPER draws of each hyperparameter, evenly spread (a Sobol sequence), and the logarithm of their weights.

    Standard deviations are in units of the error. The variance of the first end is drawn evenly in its logarithm around
    what was measured, and weighted.
    """
    first, ratio, both, exponent, walk, common, seeds = (
        stats.qmc.Sobol(7, rng=SEED).random(HYPER).T.clip(1e-6, 1 - 1e-6)
    )
    of_size = [measured[cells.size == size] for size in np.unique(cells.size)]
    spread = max(float(np.mean([values.var() for values in of_size])), 1.0)
    low, high = np.log(1 / 20), np.log(20 * spread)
    variance = np.exp(low + (high - low) * first)
    deviation = np.sqrt(variance)
    last = deviation * np.exp(RATIO * stats.norm.ppf(ratio))
    exponents = EXPONENTS[0] + (EXPONENTS[1] - EXPONENTS[0]) * exponent
    hyper = {
        "first": deviation,
        "last": last,
        "correlation": np.sqrt(both),
        "exponent": exponents,
        "walk": walk * WALK * rise_of(cells, exponents, target) / unit**0.5,
        "common": common * COMMON_LACK * np.ptp([values.mean() for values in of_size]),
        "seeds": cells.freedom / stats.chi2.ppf(seeds, cells.freedom) if cells.freedom else np.ones(HYPER),
    }
    return hyper, np.log(variance) - 2 * np.log(1 + variance)  # the shrinkage 1 / (1 + variance) is uniform


def rise_of(cells: Cells, exponent: np.ndarray, target: float) -> np.ndarray:
    """How far the common curve rises (HYPER,) from the smallest size to the target, by least squares."""
    sizes, means = common_means(cells)
    if len(sizes) == 1:
        return np.full(len(exponent), UNSEEN_RISE * abs(means[0]))
    weight = ends(exponent, sizes, sizes[0], target)[0]
    weight = weight - weight.mean(1, keepdims=True)
    return np.abs(weight @ means / (weight**2).sum(1))


def common_means(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """The sizes, and the mean score at each over the teachers that have pilots of the largest one."""
    sizes = np.unique(cells.size)
    kept = np.isin(cells.teacher, cells.teacher[cells.size == sizes[-1]])
    return sizes, np.array([cells.mean[kept & (cells.size == size)].mean() for size in sizes])


def accelerates(cells: Cells) -> bool:
    """Whether the mean score rises faster in log n from the last but one size than to it, by more than two errors."""
    sizes, means = common_means(cells)
    if len(sizes) < 3:
        return False
    before, after = np.diff(np.log(sizes[-3:]))
    weights = np.array([1 / before, -1 / before - 1 / after, 1 / after])
    n = (cells.size == sizes[-1]).sum()
    return bool(weights @ means[-3:] > 2 * (cells.error_of_differences() / n * (weights @ weights)) ** 0.5)


def covariance(hyper: dict, teacher: np.ndarray, size: np.ndarray, target: float, measured: np.ndarray) -> np.ndarray:
    """The covariance (HYPER, n, n) of scores at n places, given each draw of the hyperparameters.

    measured: the sizes of the pilots. Of the common curve nothing is known at the smallest and at the largest of them.
    """
    smallest, largest = measured.min(), measured.max()
    a, b = ends(hyper["exponent"], size, smallest, largest if largest > smallest else target)
    first, last = ends(hyper["exponent"], size, smallest, target)
    same_size = size[:, None] == size
    common = DIFFUSE * (outer(a, a) + outer(b, b)) + scaled(hyper["common"] ** 2, same_size)
    own = (
        scaled(hyper["first"] ** 2, outer(first, first))
        + scaled(hyper["last"] ** 2, outer(last, last))
        + scaled(hyper["correlation"] * hyper["first"] * hyper["last"], outer(first, last) + outer(last, first))
        + scaled(hyper["walk"] ** 2, np.minimum(last[:, :, None], last[:, None, :]))
    )
    return common + (teacher[:, None] == teacher) * own


def ends(exponent: np.ndarray, size: np.ndarray, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The weights (HYPER, n) of the scores at two sizes in the score at each size: 1 and 0 at the first one."""
    power = -exponent[:, None]
    weight = (size**power - end**power) / (start**power - end**power)
    return weight, 1 - weight


def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, :, None] * b[:, None, :]


def scaled(factor: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return factor[:, None, None] * matrix


def p_best(scores: np.ndarray) -> np.ndarray:
    """The probability (teachers,) of having the highest score, from draws (draws, teachers)."""
    return np.bincount(scores.argmax(1), minlength=scores.shape[1]) / len(scores)
