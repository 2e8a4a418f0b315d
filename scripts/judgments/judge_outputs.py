"""What a judge's output on one comparison or answer says; None if it cannot be read.

An output is a dict of text, second_text (what the judge wrote when it was asked to finish), cut (whether the last of
them ended at the limit of tokens) and logprobs. The rows of a table of judgments have the same names.
"""

from scripts.judgments.grade_texts import grade
from scripts.judgments.pairwise_verdicts import MIN_MASS, added, named_mass
from scripts.judgments.verdict_labels import last_label, strict_verdict, verdict, winner
from scripts.tables.reasoning import KEEP, SEPARATE, parts_of
from scripts.tables.thinking import with_thinking

ROUNDING = 1e-6  # of log-probabilities in single precision


def shaped(output: dict, mode: str) -> dict:
    """A result of an engine with its thinking as `reasoning` of the judge says (mode: strip, keep or separate).

    No mode changes a verdict. A text without an answer behind its thinking stays as it is: the judge may be asked to
    finish it.
    """
    parts = parts_of(output["text"], output.get("reasoning"), inside=False)
    if not output["text"] or not (parts.answer or "").strip():
        return output | {"reasoning": None}
    text = with_thinking(parts) if mode == KEEP else parts.answer
    return output | {"text": text, "reasoning": parts.thinking if mode == SEPARATE else None}


def read_names(output: dict) -> dict[str, float] | None:
    """Text to log-probability of the first tokens; None if less than MIN_MASS is on the names of the two answers."""
    logprobs = added(output["logprobs"]) if output["logprobs"] else {}
    return logprobs if named_mass(logprobs) >= MIN_MASS - ROUNDING else None


def read_verdict(output: dict) -> str | None:
    """One of the five labels of Arena-Hard."""
    return verdict(last_text(output), output["cut"])


def read_strict_verdict(output: dict) -> str | None:
    """The label as Arena-Hard v0.1 reads it; it may be one that no score counts."""
    return strict_verdict(last_text(output))


def read_last_label(output: dict) -> str | None:
    """The label as Arena-Hard v2 reads it."""
    return last_label(last_text(output))


def read_winner(output: dict) -> str | None:
    """The label of a judge that was asked for one word."""
    return winner(last_text(output), output["cut"])


def read_grade(output: dict) -> float | None:
    """The grade, 1 to 10, that a judge gave an answer."""
    return grade(last_text(output), output["cut"])


def last_text(output: dict) -> str:
    return output["second_text"] or output["text"] or ""
