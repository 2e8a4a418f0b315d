"""What a judge's raw output says of two answers: AlpacaEval's one token, Arena-Hard's bracketed verdict."""

import math
import random
import re

VERDICT = re.compile(r"\[\[([AB<>=]+)\]\]")
# wins, ties and losses of A by each verdict; a strong one counts three times (arena-hard-auto, show_result.py)
WEIGHTS = {"A>>B": (3, 0, 0), "A>B": (1, 0, 0), "A=B": (0, 1, 0), "B>A": (0, 0, 1), "B>>A": (0, 0, 3)}


def switched(instruction: str) -> bool:
    """Whether AlpacaEval shows the model's answer first: drawn once per instruction (alpaca_eval 0.6.6)."""
    return random.Random(f"is_switched_outputs{instruction}0").choices([False, True])[0]


def preference(logprobs: dict[str, float], was_switched: bool) -> float | None:
    """How far the judge prefers the model to the baseline, from 0 to 1; None where it named neither answer.

    `logprobs` are those of the judge's one token; the answers were called m (shown first) and M. A name that is not
    among the likeliest tokens has no probability.
    """
    first, second = (math.exp(logprobs[name]) if name in logprobs else 0.0 for name in ("m", "M"))
    if first + second == 0:
        return None
    of_second = second / (first + second)
    return 1 - of_second if was_switched else of_second


def verdict(text: str) -> str | None:
    """The one verdict that stands in a judgement; None where there is none or several that differ."""
    found = set(VERDICT.findall(text))
    return found.pop() if len(found) == 1 else None


def games(first: str | None, second: str | None) -> tuple[int, int, int]:
    """Wins, ties and losses of the model in two games: as B in the first and as A in the second.

    A game without a verdict, or with one that is none of the five, counts nothing.
    """
    a_wins, a_ties, a_losses = WEIGHTS.get(first, (0, 0, 0))
    wins, ties, losses = WEIGHTS.get(second, (0, 0, 0))
    return wins + a_losses, ties + a_ties, losses + a_wins
