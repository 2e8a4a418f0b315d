r"""Extract an answer from a text and compare it with the right one, as a text or as a number.

math-verify was weighed for this: it takes 1\,234 for 235, 3.0e8 for a product with Euler's number, and 1,2 for the set
of 2 and 1, and it needs half a second for an answer. Two expressions that are only algebraically equal, such as x+1 and
1+x, differ here.
"""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

SIGNS = str.maketrans("‘’‚‛“”„‟−‐‑–—", "''''\"\"\"\"-----")
SPACE = re.compile(r"\\[,;:! ]|\\quad|~")
LAYOUT = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])")
FORMAT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|mbox|emph)\s*\{([^{}]*)\}")
FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
MARKS = "*`$_\"'"
NUMBER = r"[+-]?(?:\d[\d, ]*(?:\.\d*)?|\.\d+)"
TIMES_TEN = r"\s*(?:\*|×|\\times|\\cdot)\s*10\s*\^\s*\{?([+-]?\d{1,3})\}?"
VALUE = re.compile(rf"({NUMBER})(?:e([+-]?\d{{1,3}})|{TIMES_TEN})?", re.I)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[, ]\d{3})+(?:\.\d*)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")

DIGITS = r"(?:\d(?:(?:[.,]|\{,\}|\\,)?\d)*|\.\d+)"
POWER = r"(?:[eE][+-]?\d+|\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?-?\d+\}?)"
FOUND_NUMBER = rf"(?:(?<![\w)])[+-])?[$€£]?{DIGITS}(?:/\d+)?{POWER}?(?:\s?\\?%)?"
BOXED = r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"
CHOICE = r"(?:\(([A-Ja-j])\)|([A-HJ]|I(?! \w))(?![\w']))"


class Recipe(NamedTuple):
    """How the answers of a kind of benchmark are found and compared."""

    answers: tuple[str, ...]  # patterns, of which the first one that occurs in the answer counts
    references: tuple[str, ...]  # those of the references; the complete reference counts if none occurs
    ignore_case: bool = False
    numeric: bool | None = False  # None: as numbers where both are numbers, else as texts


RECIPES = {
    "gsm8k": Recipe((rf"####\s*({FOUND_NUMBER})", BOXED, rf"({FOUND_NUMBER})"), (r"####\s*(.+)",), numeric=True),
    "boxed": Recipe((BOXED,), (BOXED,), numeric=None),
    "choice": Recipe(
        (
            BOXED,
            rf"(?i:answer|choice|option)[\s*:]*(?i:(?:is|would be)[\s*:]+)?{CHOICE}",
            r"(?m)^\W*([A-J])\W*$",
            r"\(([A-J])\)",
        ),
        (rf"^\s*{CHOICE}(?:[).:].*)?\s*$",),
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
    texts = [plain_text(text).replace(", ", ",") for text in (answer, reference)]
    return len({text.casefold() if ignore_case else text for text in texts}) == 1


class Number(NamedTuple):
    value: Fraction
    is_percent: bool


def same_value(one: Number, other: Number) -> bool:
    """Whether two numbers are equal; 25% equals 25, as the answer to how many percent, and 0.25."""
    if one.is_percent == other.is_percent:
        return one.value == other.value
    percent, value = (one.value, other.value) if one.is_percent else (other.value, one.value)
    return value in (percent, percent / 100)


def number(text: str) -> Number | None:
    """The value of a text that is a number; None for another text.

    A currency, a final period and LaTeX do not matter. A comma separates thousands (1,234) if three
    digits follow each, else it is a decimal comma (3,5).
    """
    text = plain_text(text).replace("{,}", ",")
    text = re.sub(r"^[$€£]\s*|^([+-])[$€£]", r"\1", text).strip()
    is_percent = text.endswith("%")
    text = text.removesuffix("%").strip()
    top, slash, bottom = text.partition("/")
    values = [value_of(part) for part in ((top, bottom) if slash else (top,))]
    if None in values or (slash and not values[1]):
        return None
    return Number(values[0] / values[1] if slash else values[0], is_percent)


def value_of(text: str) -> Fraction | None:
    """The value of digits with separators and an exponent of ten, which has at most three digits."""
    found = VALUE.fullmatch(text.strip())
    if not found or len(text) > 100:
        return None
    digits = found[1].strip()
    if THOUSANDS.fullmatch(digits):
        digits = re.sub("[, ]", "", digits)
    elif DECIMAL_COMMA.fullmatch(digits):
        digits = digits.replace(",", ".")
    if re.search("[, ]", digits):
        return None
    return Fraction(digits.removesuffix(".")) * Fraction(10) ** int(found[2] or found[3] or 0)


def spaced(text: str) -> str:
    """Unicode NFC, in which every space but a newline is a plain one."""
    return re.sub(r"[^\S\n]", " ", unicodedata.normalize("NFC", text))


def plain_text(text: str) -> str:
    r"""The text without what does not change an answer: LaTeX that formats, quotes, a final period, (b) for b."""
    text = LAYOUT.sub("", FORMAT.sub(r"\1", spaced(text).translate(SIGNS))).replace("\\%", "%").replace("\\$", "$")
    text = re.sub(r"(\d)\\[,!] ?(?=\d{3})", r"\1,", text)
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text)
    text = FRACTION.sub(lambda m: f"{m[1] or m[2]}/{m[3] or m[4]}", SPACE.sub(" ", text))
    text = re.sub(r"^\\[(\[](.*)\\[)\]]$", r"\1", text.strip())
    text = " ".join(text.split()).strip(MARKS + " ")
    text = text.rstrip(".,;:").strip(MARKS + " ")
    single = re.fullmatch(r"\(?(\w)[).:]?", text)
    return single[1] if single else text
