"""Read a judge's raw output about two answers: AlpacaEval's one token, Arena-Hard's verdict in brackets."""

import math
import random
import re

VERDICT = re.compile(r"\[\[([AB<>=]+)\]\]")
# (wins, ties, losses) of answer A; a strong verdict counts three times (arena-hard-auto, show_result.py)
WEIGHTS = {"A>>B": (3, 0, 0), "A>B": (1, 0, 0), "A=B": (0, 1, 0), "B>A": (0, 0, 1), "B>>A": (0, 0, 3)}


def switched(instruction: str) -> bool:
    """Whether AlpacaEval shows the model's answer first; a random draw from the instruction (alpaca_eval 0.6.6)."""
    return random.Random(f"is_switched_outputs{instruction}0").choices([False, True])[0]


def preference(logprobs: dict[str, float], was_switched: bool) -> float | None:
    """The judge's preference for the model over the baseline, 0 to 1; None if it named neither answer.

    `logprobs`: token to log-probability, for the most likely first tokens of the judge. The answers are called m (shown
    first) and M; a name that is not among these tokens counts as probability 0.
    """
    first, second = (math.exp(logprobs[name]) if name in logprobs else 0.0 for name in ("m", "M"))
    if first + second == 0:
        return None
    of_second = second / (first + second)
    return 1 - of_second if was_switched else of_second


def verdict(text: str) -> str | None:
    """The verdict in a judge's text; None if there is no verdict or if verdicts differ."""
    found = set(VERDICT.findall(text))
    return found.pop() if len(found) == 1 else None


def games(first: str | None, second: str | None) -> tuple[int, int, int]:
    """Weighted wins, ties and losses of the model over two games: it is answer B in the first and A in the second.

    A game without one of the five verdicts counts as nothing.
    """
    a_wins, a_ties, a_losses = WEIGHTS.get(first, (0, 0, 0))
    wins, ties, losses = WEIGHTS.get(second, (0, 0, 0))
    return wins + a_losses, ties + a_ties, losses + a_wins
