"""Read texts that are numbers, as people write them: with separators, currencies, units, percent, exponents."""

import re
from fractions import Fraction
from typing import NamedTuple

from scripts.judgments.plain_answers import MARKS, plain_answer, spaced

NAMED = re.compile(r"^(?:\\?[A-Za-z]+(?:_\w+)?)?=|^≈")  # x=5
BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
CURRENCY = r"(?:(?:US|[AC])?[$€£¥₹]|(?:USD|EUR|GBP|JPY|INR)\b ?)"
BEFORE = re.compile(rf"^([+-]?){CURRENCY} ?([+-]?)(?=[\d.])")
DEGREES = re.compile(r"\^?\(?(?:\\circ|°|∘)\)?$")
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}  # exponents of ten
LENGTHS = "mm|cm|dm|km|meters?|metres?|kilometers?|kilometres?|centimeters?|centimetres?|inch(?:es)?|in|feet|foot|ft"
LENGTHS += "|yards?|yd|miles?|mi"
OTHERS = "kg|mg|grams?|kilograms?|pounds?|lbs?|ounces?|oz|tons?|liters?|litres?|ml|seconds?|secs?|minutes?|mins?|hours?"
OTHERS += "|hrs?|days?|weeks?|months?|years?|dollars?|cents?|euros?|USD|EUR|GBP|degrees?|units?|mph|kmh|Hz|kHz|Pa|kJ|kW"
UNIT = rf"(?:(?:square|cubic|sq) )?(?:{LENGTHS}|{OTHERS}|(?<= )[mgshLlJNWV])(?:\^?[23])?"
AFTER = re.compile(rf"(?<=[\d.]) ?([€£¥₹$]|{UNIT}(?:(?:/| per )(?:{LENGTHS}|{OTHERS}|[mgshLl])(?:\^?2)?)?)$")
LATEX_UNIT = re.compile(r"(?<=[\d}])(?:\s|\\[,;:! ])*\\(?:text|mathrm|mbox|textrm)\s*\{\s*([A-Za-z][^{}\d]*?)\s*\}\W*$")
SCALE = re.compile(rf"(?<=[\d.]) ({'|'.join(SCALES)})$", re.I)

GROUPED = r"\d{1,3}(?:[, '_]\d{3})+(?:\.\d*)?"
GROUPED_WITH_COMMA = r"\d{1,3}(?:([. '])\d{3})(?:\1\d{3})*,\d+|\d{1,3}(?:\.\d{3}){2,}"
PLAIN = r"\d+,\d+|\d+(?:\.\d*)?|\.\d+"
POWER = r"e([+-]?\d{1,3})|\s?[*x·×]\s?10\^\(?([+-]?\d{1,3})\)?"
VALUE = re.compile(
    rf"([+-]?)(?:(?P<comma>{GROUPED_WITH_COMMA})|(?P<grouped>{GROUPED})|(?P<plain>{PLAIN}))(?:{POWER})?", re.I
)
TEN = re.compile(r"([+-]?)10\^\(?([+-]?\d{1,3})\)?")
MIXED = re.compile(r"([+-]?)(\d{1,20}) (\d{1,20})/(\d{1,20})")


class Number(NamedTuple):
    value: Fraction
    is_percent: bool = False
    unit: str = ""


def same_value(one: Number, other: Number) -> bool:
    """Whether two numbers are equal; 25% equals 25, as the answer to how many percent, and 0.25.

    A unit counts only if both have one.
    """
    if one.unit and other.unit and one.unit != other.unit:
        return False
    if one.is_percent == other.is_percent:
        return one.value == other.value
    percent, value = (one.value, other.value) if one.is_percent else (other.value, one.value)
    return value in (percent, percent / 100)


def number(text: str) -> Number | None:
    """The value of a text that is a number; None for another text.

    A currency, a name with a sign of equality (x=5), a final period and LaTeX do not matter. A comma separates
    thousands (1,234) if three digits follow each, else it is a decimal comma (3,5); 1.234,5 has both.
    """
    text, latex_unit = without_latex_unit(spaced(text).strip(MARKS + " ."))
    text = NAMED.sub("", plain_answer(text).replace("{,}", ",")).rstrip("!")
    text = BEFORE.sub(r"\1\2", BRACKETS.sub(r"\1", text) if BRACKETS.fullmatch(text) else text)
    text = re.sub(r" ?per ?cent$", "%", text)
    is_percent = text.endswith("%")
    text = DEGREES.sub("", text.removesuffix("%").strip())
    unit, scale = AFTER.search(text), SCALE.search(text)
    text = text[: (unit or scale).start()].strip() if unit or scale else text
    value = value_of_parts(text)
    if value is None:
        return None
    value *= 10 ** SCALES[scale[1].lower()] if scale else 1
    return Number(value, is_percent, latex_unit or (unit[1] if unit else ""))


def without_latex_unit(text: str) -> tuple[str, str]:
    r"""A text without the words in \text{} at its end, and these words; those that change the value stay."""
    found = LATEX_UNIT.search(text)
    if not found or any(word in SCALES or word == "percent" for word in re.findall("[a-z]+", found[1].lower())):
        return text, ""
    return text[: found.start()], found[1]


def value_of_parts(text: str) -> Fraction | None:
    """The value of a number, a fraction or a mixed number (1 1/2)."""
    if mixed := MIXED.fullmatch(text):
        whole, top, bottom = map(int, mixed.groups()[1:])
        return (-1 if mixed[1] == "-" else 1) * (whole + Fraction(top, bottom)) if bottom else None
    top, slash, bottom = text.partition("/")
    values = [value_of(part) for part in ((top, bottom) if slash else (top,))]
    if None in values or (slash and not values[1]):
        return None
    return values[0] / values[1] if slash else values[0]


def value_of(text: str) -> Fraction | None:
    """The value of digits with separators and an exponent of ten, which has at most three digits."""
    text = text.strip()
    if len(text) > 100:
        return None
    if ten := TEN.fullmatch(text):
        return (-1 if ten[1] == "-" else 1) * Fraction(10) ** int(ten[2])
    found = VALUE.fullmatch(text)
    if not found:
        return None
    if found["comma"]:
        digits = re.sub("[. ']", "", found["comma"]).replace(",", ".")
    elif found["grouped"]:
        digits = re.sub("[, '_]", "", found["grouped"])
    else:
        digits = found["plain"].replace(",", ".")
    exponent = next((group for group in found.groups()[-2:] if group), 0)
    return Fraction(found[1] + digits.removesuffix(".")) * Fraction(10) ** int(exponent)
