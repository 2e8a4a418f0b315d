"""Which teachers of a race go on to the next size."""

import numpy as np

RISK = 0.05  # largest probability, at each decision, that the best teacher is among those that have left the race


def leaving(chances: np.ndarray, running: np.ndarray) -> np.ndarray:
    """The mask (teachers,) of those that leave the race now.

    chances (teachers,): the probability of each to be the best at the target. Those leave whose chances are smallest,
    as long as theirs and those of all that are not running (a mask) are together at most RISK; never the first one.
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
