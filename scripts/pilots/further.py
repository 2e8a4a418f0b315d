"""Which further pilots would settle who is best at the target, and what they cost.

A plan of further pilots is valued by the probability that the first teacher will have after it, on average over what it
may show (a preposterior analysis: Raiffa and Schlaifer, Applied Statistical Decision Theory, 1961). The scores at the
target and those of the further pilots are taken as jointly normal.
"""

from typing import NamedTuple

import numpy as np

from scripts.pilots.curves import Cells, Points, at_size, draw_curves, p_best

SHOWN, DRAWS, SEED = 200, 400, 0
CONTENDER = 0.05  # least probability to be the best of the teachers that further pilots are for
GROWTH = (2, 4, 8, 16)  # sizes of further pilots, in units of the largest one


class Further(NamedTuple):
    """Further pilots: one for each of these teachers and seeds, of this size."""

    teachers: list[int]
    size: int
    seeds: int
    expected: float  # probability of the first teacher afterwards

    @property
    def examples(self) -> int:
        """Examples that are trained on, each once per epoch."""
        return len(self.teachers) * self.size * self.seeds


def contenders(chances: np.ndarray) -> list[int]:
    """The teachers that may be the best, and at least the first two, best first."""
    order = [int(i) for i in np.argsort(-chances, kind="stable")]
    return [i for place, i in enumerate(order) if place < 2 or chances[i] >= CONTENDER]


def further_pilots(cells: Cells, chances: np.ndarray, target: float, seeds: int) -> list[Further]:
    """Plans for the contenders: as many seeds again at the largest size, and larger sizes up to the target; by cost."""
    largest, teachers = int(cells.size.max()), contenders(chances)
    sizes = [largest, *(largest * factor for factor in GROWTH if largest * factor < target), int(target)]
    plans = [Further(teachers, size, seeds, 0.0) for size in dict.fromkeys(sizes)]
    valued = [plan._replace(expected=expected_chance(cells, plan, len(chances), target)) for plan in plans]
    return sorted(valued, key=lambda plan: plan.examples)


def expected_chance(cells: Cells, plan: Further, n_teachers: int, target: float) -> float:
    """The mean probability of the first teacher after these pilots."""
    new = Points(np.array(plan.teachers), np.full(len(plan.teachers), float(plan.size)))
    ends = at_size(n_teachers, target)
    drawn = draw_curves(cells, Points(*(np.concatenate(pair) for pair in zip(ends, new, strict=True))), target)
    joint = np.cov(drawn, rowvar=False)
    noise = cells.seeds / plan.seeds + own_error_of_prompts(cells)
    seen = joint[n_teachers:, n_teachers:] + noise * np.eye(len(plan.teachers))
    gain = np.linalg.solve(seen, joint[n_teachers:, :n_teachers]).T
    left = joint[:n_teachers, :n_teachers] - gain @ joint[n_teachers:, :n_teachers]
    rng = np.random.default_rng(SEED)
    spread = rng.multivariate_normal(np.zeros(n_teachers), left, DRAWS, method="eigh")
    shown = rng.multivariate_normal(np.zeros(len(plan.teachers)), seen, SHOWN, method="eigh")
    means = drawn[:, :n_teachers].mean(0) + shown @ gain.T
    return float(np.mean([p_best(mean + spread).max() for mean in means]))


def own_error_of_prompts(cells: Cells) -> float:
    """The mean variance of the error of prompts of a cell, without what all cells share."""
    return cells.error_of_differences() - cells.seeds * float(np.mean(1 / cells.runs))
