"""What the pilots say, in sentences."""

import numpy as np

from scripts.pilots.crossings import Crossing
from scripts.pilots.curves import Cells, accelerates, p_best
from scripts.pilots.further import Further, contenders
from scripts.pilots.measured import Measured
from scripts.pilots.pilot_settings import steps_of, warmup_of
from scripts.pilots.race import FLATTENS


def about_base(
    measured: Measured,
    drawn: np.ndarray,
    crossed: list[Crossing],
    further: list[Further],
    predicted: list[dict],
    settings: dict,
) -> list[str]:
    """What the pilots of a base say. drawn (draws, teachers): the scores at the target; further: by cost."""
    names = measured.teachers
    sentences = about_best(names, drawn, settings, is_settled(measured.cells, drawn, settings))
    sentences += [*about_form(measured.cells), *about_race(measured), *about_simple(predicted, settings)]
    sentences += [
        f"{names[cross.first]} is better with few examples and {names[cross.later]} with many: their curves cross near "
        f"{two_digits(cross.size):,} examples (probability {cross.probability:.2f})."
        for cross in crossed
    ]
    sentences += about_further(names, further, settings, int(measured.cells.size.max()))
    if measured.lost:
        sentences.append(f"Pilots without a score, which are left out: {', '.join(measured.lost)}.")
    return sentences


def is_settled(cells: Cells, drawn: np.ndarray, settings: dict) -> bool:
    """Whether one teacher is the best at the target with `p_best`, and the pilots show that the scores flatten."""
    return bool(p_best(drawn).max() >= settings["p_best"]) and not about_form(cells)


def about_form(cells: Cells) -> list[str]:
    """Why the pilots do not show that the scores flatten, which a prediction needs; nothing if they do."""
    if accelerates(cells):
        return [
            "The scores rise faster from size to size: the students have yet to learn most of it, and the order may "
            "change. Add a larger size."
        ]
    if len(np.unique(cells.size)) < FLATTENS:
        return ["Two sizes do not show whether the scores flatten, which the prediction takes for likely: add a third."]
    return []


def about_best(names: list[str], drawn: np.ndarray, settings: dict, settled: bool) -> list[str]:
    """Who is the best at the target, and how sure."""
    chances, at = p_best(drawn), f"{settings['target']:,} examples"
    first, *others = contenders(chances)
    least = settings["p_best"]
    if settled:
        start = f"{names[first]} is the best teacher at {at} with probability {chances[first]:.2f}"
        start += f": settled (at least {least:g})."
    else:
        rest = ", ".join(f"{names[i]} {chances[i]:.2f}" for i in others)
        start = f"Not settled: at {at} the best teacher is {names[first]} with probability {chances[first]:.2f}"
        start += f" (needed: {least:g}); {rest}."
    if not others:
        return [start]
    gap = drawn[:, first] - drawn[:, others[0]]
    low, high = np.quantile(gap, (0.025, 0.975))
    return [start, f"{names[first]} minus {names[others[0]]}: {gap.mean():.1f} points [{low:.1f}, {high:.1f}]."]


def about_race(measured: Measured) -> list[str]:
    """Up to which size the teachers were trained that were not trained at all sizes."""
    cells = measured.cells
    largest = {i: int(cells.size[cells.teacher == i].max()) for i in range(len(measured.teachers))}
    sizes = sorted(set(largest.values()))[:-1]
    left = [
        f"{', '.join(measured.teachers[i] for i in largest if largest[i] == size)} up to {size:,} examples"
        for size in sizes
    ]
    return [f"Not trained at larger sizes: {'; '.join(left)}."] if left else []


def about_simple(predicted: list[dict], settings: dict) -> list[str]:
    """Which teacher the level at the largest size and a straight line name, if it is another one."""
    first = max(predicted, key=lambda row: row["p_best"])["teacher"]
    level = max(predicted, key=lambda row: row["level"])["teacher"]
    lines = [row for row in predicted if row["line"] is not None]
    line = max(lines, key=lambda row: row["line"])["teacher"] if lines else first
    sentences = []
    if level != first:
        sentences.append(f"By the largest score that was measured, the best would be {level}.")
    if line != first:
        sentences.append(f"By a straight line in the logarithm of the number of examples, the best would be {line}.")
    return sentences


def about_further(names: list[str], further: list[Further], settings: dict, largest: int) -> list[str]:
    """The cheapest further pilots that would settle it, or else what the best of them would give."""
    if not further:
        return []
    enough = [plan for plan in further if plan.expected >= settings["p_best"]]
    plan = enough[0] if enough else max(further, key=lambda plan: plan.expected)
    of_whom = ", ".join(names[i] for i in plan.teachers)
    how = f"set pilots.seeds: {settings['seeds'] + plan.seeds}" if plan.size == largest else "add it to pilots.sizes"
    share = plan.examples / settings["target"]
    what = f"{plan.seeds} runs with {plan.size:,} examples for each of {of_whom} ({how})"
    cost = f"trained on {plan.examples:,} examples together, {share:.1f} times the student's"
    if enough:
        return [f"To settle it: {what}, {cost}. They are expected to give a probability of {plan.expected:.2f}."]
    return [
        f"No further pilots up to the target are expected to settle it. Most would be known from {what}, {cost}: a "
        f"probability of {plan.expected:.2f}. If that is not worth it, take the cheapest of these teachers."
    ]


def about_training(settings: dict, finetune: dict) -> list[str]:
    """What differs between a pilot and the training of the student."""
    of_sizes = [in_steps(size, warmup_of(size, finetune), finetune) for size in settings["sizes"]]
    student = in_steps(settings["target"], finetune["warmup_steps"], finetune)
    return [
        "Pilots have the settings of the study, with the learning rate over their own steps. "
        f"Steps, and those of warm-up: {'; '.join(of_sizes)}; the student {student}."
    ]


def in_steps(size: int, warmup: int, finetune: dict) -> str:
    return f"{size:,} examples {steps_of(size, finetune):,} ({warmup})"


def two_digits(size: float) -> int:
    """Rounded to two significant digits."""
    return int(float(f"{size:.1e}"))
