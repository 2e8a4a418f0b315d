"""Teachers whose curves cross: one is better with few examples, the other one with many."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

SURE = 0.7  # least probability of a crossing that is reported


class Crossing(NamedTuple):
    """`first` is better at the smallest size, and `later` at the target."""

    first: int
    later: int
    size: float  # median of the size at which they change places
    probability: float


def crossings(curves: np.ndarray, sizes: np.ndarray, least: float = SURE) -> list[Crossing]:
    """The pairs of teachers that cross between the first and the last size, most probable first.

    curves (draws, sizes, teachers): draws of the scores at growing sizes.
    """
    found = []
    for a, b in combinations(range(curves.shape[2]), 2):
        gap = curves[:, :, a] - curves[:, :, b]
        for first, later, ahead in ((a, b, gap), (b, a, -gap)):
            crossed = (ahead[:, 0] > 0) & (ahead[:, -1] < 0)
            if crossed.mean() >= least:
                found.append(Crossing(first, later, place(ahead[crossed], sizes), float(crossed.mean())))
    return sorted(found, key=lambda crossing: -crossing.probability)


def place(ahead: np.ndarray, sizes: np.ndarray) -> float:
    """The median size after which a difference (draws, sizes), positive at first, is no longer positive."""
    after = (ahead <= 0).argmax(1)
    return float(np.median(np.sqrt(sizes[after - 1] * sizes[after])))
