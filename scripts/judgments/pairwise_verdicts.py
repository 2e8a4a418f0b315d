"""What a judge's output about two answers means: the first tokens of AlpacaEval's judge, the verdicts of two games."""

import json
import math
import random

import numpy as np

NAMES = ("m", "M")  # of the two answers, the first one shown and the second one
MIN_MASS = 0.5  # probability of the two names together, below which the judge did something else than name an answer
SPACE_MARKS = " \t\r\n\u2581\u0120"  # also as vocabularies write a space: SentencePiece's and that of byte-level ones
# (wins, ties, losses) of answer A; a strong verdict counts three times (arena-hard-auto, show_result.py)
WEIGHTS = {"A>>B": (3, 0, 0), "A>B": (1, 0, 0), "A=B": (0, 1, 0), "B>A": (0, 0, 1), "B>>A": (0, 0, 3)}
POINTS = {"A>>B": 1.0, "A>B": 1.0, "A=B": 0.5, "B>A": 0.0, "B>>A": 0.0}  # of answer A


def switched(instruction: str) -> bool:
    """Whether AlpacaEval shows the model's answer first; a random draw from the instruction (alpaca_eval 0.6.6)."""
    return random.Random(f"is_switched_outputs{instruction}0").choices([False, True])[0]


def added(tokens: str) -> dict[str, float]:
    """Text to log-probability, from the first tokens that an engine stored (JSON, pairs of text and log-probability).

    White space around a text is removed, and the probabilities of tokens with one text are added: a vocabulary may have
    M with and without a space before it.
    """
    found: dict[str, float] = {}
    for text, logprob in json.loads(tokens):
        text = text.strip(SPACE_MARKS)
        found[text] = float(np.logaddexp(found.get(text, -math.inf), logprob))
    return found


def named_mass(logprobs: dict[str, float]) -> float:
    """The probability, 0 to 1, that the judge's first token names one of the two answers."""
    return sum(math.exp(logprobs[name]) for name in NAMES if name in logprobs)


def preference(logprobs: dict[str, float], was_switched: bool) -> float | None:
    """The judge's preference for the model over the baseline, 0 to 1; None if it named neither answer.

    `logprobs`: text to log-probability, for the most likely first tokens of the judge. The answers are called m (shown
    first) and M; a name that is not among these tokens counts as probability 0.
    """
    first, second = (math.exp(logprobs[name]) if name in logprobs else 0.0 for name in NAMES)
    if first + second == 0:
        return None
    of_second = second / (first + second)
    return 1 - of_second if was_switched else of_second


def games(first: str | None, second: str | None) -> tuple[int, int, int]:
    """Weighted wins, ties and losses of the model over two games: it is answer B in the first and A in the second.

    A game without one of the five verdicts counts as nothing.
    """
    a_wins, a_ties, a_losses = WEIGHTS.get(first, (0, 0, 0))
    wins, ties, losses = WEIGHTS.get(second, (0, 0, 0))
    return wins + a_losses, ties + a_ties, losses + a_wins
