r"""Extract an answer from a text and compare it with the right one, as a text or as a number.

math-verify was weighed for this: it takes 1\,234 for 235, 3.0e8 for a product with Euler's number, and 1,2 for the set
of 2 and 1, and it needs half a second for an answer. Two expressions that are only algebraically equal, such as x+1 and
1+x, differ here.
"""

import re
from typing import NamedTuple

from scripts.judgments.number_texts import number, same_value
from scripts.judgments.plain_answers import plain_answer, spaced

DIGITS = r"(?:\d+ \d+(?=/\d)|\d{1,3}(?: \d{3})+(?!\d)|\d(?:(?:[.,]|\{,\}|\\,)?\d)*|\.\d+)"
POWER = r"(?:[eE][+-]?\d+|\s{0,3}(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?-?\d+\}?)"
FOUND_NUMBER = rf"(?:(?<![\w)])[+-])?[$€£]?{DIGITS}(?:/\d+)?{POWER}?(?:\s?\\?%)?"
MARKED_NUMBER = (
    rf"####\s{{0,5}}(?:(?i:answer) ?:)?[\s*$`]{{0,5}}\\?({FOUND_NUMBER})(?!\d|[.,:]\d|[.):]+[^\S\n]+\S)"  # no heading
)
BOXED = r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"

QUOTES = r"[\s*:：$\"'“”‘’`_]{0,12}"
LETTER = r"(?:\(([A-Ja-j])\)|([A-HJ]|I(?! \w))(?![\w'])|([a-j])(?m:(?=[).:*`\"'$\s}]*$)))"
CHOICE = rf"{QUOTES}(?:\\(?:text|math)\w*\s*\{{\s*)?{QUOTES}{LETTER}"
STATED = r"(?i:answer|choice|option|答案)[\s*_]{0,5}(?:(?i:is|would be|should be|must be)\b|[:：])"


class Recipe(NamedTuple):
    """How the answers of a kind of benchmark are found and compared."""

    answers: tuple[str, ...]  # patterns, of which the first one that occurs in the answer counts
    references: tuple[str, ...]  # those of the references; the complete reference counts if none occurs
    ignore_case: bool = False
    numeric: bool | None = False  # None: as numbers where both are numbers, else as texts


RECIPES = {
    "gsm8k": Recipe((MARKED_NUMBER, BOXED, rf"({FOUND_NUMBER})"), (r"####\s*(.+)",), numeric=True),
    "boxed": Recipe((BOXED,), (BOXED,), numeric=None),
    "choice": Recipe(
        (
            rf"\\(?:boxed|fbox)\s*\{{{CHOICE}\s*[).:}}]",
            BOXED,
            rf"{STATED}(?:{QUOTES}(?i:option|choice)\b)?{CHOICE}",
            rf"(?i:answer|choice|option){CHOICE}",
            r"(?m)^[^\w\n]{0,12}([A-JＡ-Ｊ])[^\w\n]{0,12}$",
            r"\A\W*([a-j])\W*\Z",
            r"\A\W*([A-J])[).:]\s[^\n]*\Z",
            r"\(([A-J])\)",
        ),
        (rf"^\s*{LETTER}(?:[).:].*)?\s*$",),
        ignore_case=True,
    ),
}


def extract(text: str | None, patterns: tuple[str, ...]) -> str | None:
    """The answer in a text, without outer white space; None without a match.

    It is the first group that matched, in the last match of the first pattern that matches. The text is read in Unicode
    NFC, with plain spaces and minus signs.
    """
    text = spaced(text or "").replace("−", "-")
    for pattern in patterns:
        if matches := list(re.finditer(pattern, text)):
            return next((group.strip() for group in matches[-1].groups() if group is not None), None)
    return None


def is_right(answer: str | None, reference: str, ignore_case: bool = False, numeric: bool | None = False) -> bool:
    """Whether an answer equals the reference: as a number, as a text, or (None) as a number if both are numbers."""
    if answer is None:
        return False
    values = number(answer), number(reference)
    if numeric or (numeric is None and None not in values):
        return None not in values and same_value(*values)
    texts = [re.sub(r" ?([(),\[\]{}]) ?", r"\1", plain_answer(text)) for text in (answer, reference)]
    return len({text.casefold() if ignore_case else text for text in texts}) == 1
