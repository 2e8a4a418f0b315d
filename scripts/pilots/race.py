"""Which teachers of a race go on to the next size."""

import numpy as np

from scripts.pilots.curves import DRAWS, Cells, accelerates, at_size, draw_curves, p_best

RISK = 0.1  # largest probability, at each decision, that the best teacher is among those that have left the race
SIZES = 2  # at least so many sizes before anybody leaves: one size shows no slope


def decide(cells: Cells, teachers: int, target: float, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each teacher to be the best at the target, and the mask of those that leave now.

    Only those may leave that have pilots of the largest size. Nobody leaves as long as the scores rise faster from size
    to size: then most is still to be learned, and the order may change.
    """
    chances = p_best(draw_curves(cells, at_size(teachers, target), target, draws))
    running = np.isin(np.arange(teachers), cells.teacher[cells.size == cells.size.max()])
    if len(np.unique(cells.size)) < SIZES or accelerates(cells):
        return chances, np.zeros(teachers, bool)
    return chances, leaving(chances, running)


def leaving(chances: np.ndarray, running: np.ndarray) -> np.ndarray:
    """The mask (teachers,) of those whose chances (teachers,) are smallest and small enough.

    Theirs and those of all that are not running (a mask) are together at most RISK; the first one never leaves.
    """
    leave = np.zeros(len(chances), bool)
    total = chances[~running].sum()
    order = [i for i in np.argsort(chances, kind="stable") if running[i]]
    for i in order[:-1]:
        total += chances[i]
        if total > RISK:
            break
        leave[i] = True
    return leave
