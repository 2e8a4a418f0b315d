"""Which teachers of a race go on to the next size."""

import numpy as np

from scripts.pilots.curves import DRAWS, Cells, accelerates, at_size, draw_curves, p_best

RISK = 0.1  # largest probability, at each decision, that the best teacher is among those that have left the race
FLATTENS = 3  # so many sizes show whether the scores flatten; one shows no slope at all


def decide(cells: Cells, teachers: int, target: float, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each teacher to be the best at the target, and the mask of those that leave now.

    Only those may leave that have pilots of the largest size; nobody after one size, and after two not all but one.
    Nobody leaves as long as the scores rise faster from size to size: then most is still to be learned, and the order
    may change.
    """
    chances = p_best(draw_curves(cells, at_size(teachers, target), target, draws))
    running = np.isin(np.arange(teachers), cells.teacher[cells.size == cells.size.max()])
    sizes = len(np.unique(cells.size))
    if sizes == 1 or accelerates(cells):
        return chances, np.zeros(teachers, bool)
    return chances, leaving(chances, running, stay=1 if sizes >= FLATTENS else 2)


def leaving(chances: np.ndarray, running: np.ndarray, stay: int = 1) -> np.ndarray:
    """The mask (teachers,) of those whose chances (teachers,) are smallest and small enough.

    Theirs and those of all that are not running (a mask) are together at most RISK; the first `stay` never leave.
    """
    leave = np.zeros(len(chances), bool)
    total = chances[~running].sum()
    order = [i for i in np.argsort(chances, kind="stable") if running[i]]
    for i in order[:-stay]:
        total += chances[i]
        if total > RISK:
            break
        leave[i] = True
    return leave
