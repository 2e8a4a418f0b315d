"""Answers in plain form: without what does not change them, such as LaTeX that formats, quotes, a final period."""

import re
import unicodedata

SIGNS = str.maketrans("‘’‚‛“”„‟−‐‑–—", "''''\"\"\"\"-----")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
ONE_SIGN = re.compile("[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")  # fractions
RAISED = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
LATEX_SIGNS = {
    r"\\leq?": "≤",
    r"\\geq?": "≥",
    r"\\neq?": "≠",
    r"\\infty": "∞",
    r"\\pi": "π",
    r"\\(?:approx|sim)": "≈",
    r"\\(?:times|cdot)": "*",
}
LATEX_SIGNS = {re.compile(rf"{command}(?![A-Za-z])\s?"): sign for command, sign in LATEX_SIGNS.items()}
SPACE = re.compile(r"\\[,;:! ]|\\quad(?![A-Za-z])|~")
LAYOUT = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])")
FORMAT = re.compile(r"\\(?:text|math|mbox|emph|operatorname)[a-z]*\s*\{([^{}]*)\}")
FRACTION = re.compile(r"(?:(?P<whole>\d)\s{0,3})?\\frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
MARKS = "*`$_\"'"


def spaced(text: str) -> str:
    """Unicode NFC, in which every space but a newline is a plain one."""
    return re.sub(r"[^\S\n]", " ", unicodedata.normalize("NFC", text))


def plain_answer(text: str) -> str:
    r"""The text without what does not change an answer: LaTeX that formats, quotes, a final period, (b) for b."""
    text = ONE_SIGN.sub(lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("\u2044", "/"), text)
    text = RAISED.sub(lambda m: "^" + unicodedata.normalize("NFKC", m[0]), text)
    text = spaced(unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(SIGNS))
    text = LAYOUT.sub("", FORMAT.sub(r"\1", text)).replace("\\%", "%").replace("\\$", "$")
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", re.sub(r"(\d)\\[,!] ?(?=\d{3})", r"\1,", text))
    text = re.sub(r"\^\s*\{([^{}]*)\}", lambda m: "^" + grouped(m[1]), text)
    text = re.sub(r"\\sqrt\s*(\d)", r"\\sqrt{\1}", SPACE.sub(" ", FRACTION.sub(fraction, text)))
    for pattern, sign in LATEX_SIGNS.items():
        text = pattern.sub(sign, text)
    text = re.sub(r"^\\[(\[](.*)\\[)\]]$", r"\1", text.strip())
    text = re.sub(r" ?([=+*/^<>≤≥≠≈-]) ?| (?=\\)", r"\1", " ".join(text.split())).strip(MARKS + " ")
    text = text.rstrip(".,;:").strip(MARKS + " ")
    single = re.fullmatch(r"[(\[{]?(\w)[)\]}.:]*", text)
    return single[1] if single else text


def fraction(found: re.Match) -> str:
    r"""\frac{x+1}{2} as (x+1)/2; with a number before it, 1\frac{1}{2}, it is 1 1/2."""
    parts = (found[2] or found[3] or "", found[4] or found[5] or "")
    return f"{found['whole'] + ' ' if found['whole'] else ''}{'/'.join(map(grouped, parts))}"


def grouped(part: str) -> str:
    """A part of a formula, in parentheses if it is more than one name or number."""
    part = part.strip()
    return part if re.fullmatch(r"[+-]?[\w.]*", part) else f"({part})"
