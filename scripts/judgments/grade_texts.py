r"""Read the grade, 1 to 10, in a judge's text: the last one, in any of the forms in which judges write it.

A number in double brackets counts most: [[7]], [[7.5]], [[7/10]], \boxed{7}. Without one, [7], Rating: 7 and 7/10
count where the text says that they are the grade, and only if they agree. A number outside 1 to 10 is no grade.

lm-sys/FastChat (llm_judge/common.py) takes the first [[7]], or else the first [7] anywhere, and any size: a judge that
corrects itself, or that gives a grade to each criterion first, is read otherwise here, and a source such as [1] is not.
"""

import re

from scripts.judgments.judge_texts import plain_judgment
from scripts.judgments.verdict_labels import END, MENTIONED

LOWEST, HIGHEST = 1, 10
OUT_OF = r"(?:\s?(?:/|out of)\s?(?P<most>\d+(?:\.\d+)?))?"
NUMBER = rf"(?P<number>\d+(?:\.\d+)?){OUT_OF}"
NAME = r"(?:rating|score|grade)"
LABEL = rf"(?:(?:(?:final|overall) )?{NAME}\s?[:=]?\s?)?"
BRACKETS = rf"(?P<open>\[(?:\s?\[){{0,2}})\s?{LABEL}{NUMBER}\s?(?P<close>\](?:\s?\]){{0,2}})"
BRACKETS = re.compile(BRACKETS + OUT_OF.replace("most", "most_after"), re.I)
STATED = re.compile(
    rf"\b{NAME}(?: (?:for|of) (?:the|this|its|that) [\w' ]{{1,30}})?(?:\s?\([^()\n]{{0,40}}\))?"
    rf"(?:\s?[:=]|\s(?:is|of|would be|to be|as))\s?(?:an? )?\[?(?<![\d.]){NUMBER}\]?"
    r"(?![\d%/-]|[.,:]\d|\s?[-–+*=]\s?\d)",
    re.I,
)
SHARE = re.compile(r"(?<![\d.,/-])(?P<number>\d+(?:\.\d+)?)\s?(?:/|out of)\s?(?P<most>10)(?![\d/]|[.,]\d)", re.I)
CUE = re.compile(rf"\b(?:{NAME}s?|rate[ds]?|give|assign|award|verdict|overall|final(?:ly)?|total)\b", re.I)
WHOLE = re.compile(rf"[\s\[\]('\"]*{NUMBER}[\s\])'\".!]*")
OVERALL = re.compile(r"\b(?:overall|final|total)\b", re.I)
JOINED = re.compile(r"[\s,/–-]*(?:\b(?:or|to|and)\b)?[\s,/–-]*", re.I)


def grade(text: str, cut: bool = False) -> float | None:
    """The grade in a judge's text, 1 to 10; None if it has none. cut: the text ended at the limit of its tokens.

    A text that was cut has a grade only if it ends with it: a number inside it may be a draft.
    """
    text = plain_judgment(text)
    found = [m for m in BRACKETS.finditer(text) if not is_mentioned(m, text)]
    double = [m for m in found if len(re.sub(r"\s", "", m["open"] + m["close"])) > 2]
    if double:
        alternatives = len(double) > 1 and JOINED.fullmatch(text, double[-2].end(), double[-1].start())
        last = None if alternatives and value(double[-1]) != value(double[-2]) else double[-1]
    else:
        last = agreed([*(m for m in found if ends(m, text)), *stated(text)], text)
    if last is None or (cut and not END.fullmatch(text, last.end())):
        return None
    return value(last)


def stated(text: str) -> list[re.Match]:
    """Numbers without double brackets that the text calls a grade; a text that is only a number is one."""
    if whole := WHOLE.fullmatch(text):
        return [whole]
    shares = [m for m in SHARE.finditer(text) if CUE.search(line_before(m, text)) or ends(m, text)]
    found = sorted([*STATED.finditer(text), *shares], key=lambda m: m.end("number"))
    return [m for m in found if not is_mentioned(m, text)]


def agreed(found: list[re.Match], text: str) -> re.Match | None:
    """The last of several grades, if all are equal, or all that are called overall or final."""
    overall = [m for m in found if OVERALL.search(line_before(m, text) + m[0])]
    found = sorted(overall or found, key=lambda m: m.end())
    return found[-1] if len({value(m) for m in found}) == 1 else None


def value(match: re.Match) -> float | None:
    """The number of a match; None if it is outside 1 to 10, or out of another number than 10."""
    groups = match.groupdict()
    most = {groups.get("most"), groups.get("most_after")} - {None}
    number = float(match["number"])
    return number if LOWEST <= number <= HIGHEST and all(float(m) == HIGHEST for m in most) else None


def line_before(match: re.Match, text: str) -> str:
    """What the line, or the sentence, of a match says before it."""
    return re.split(r"\n|[.!?;] ", text[max(0, match.start() - 200) : match.start()])[-1]


def ends(match: re.Match, text: str) -> bool:
    """Whether a match ends the text, and is alone in its line or has a word such as rating before it."""
    line = line_before(match, text)
    return bool(END.fullmatch(text, match.end()) and (not line.strip(" -#>:*") or CUE.search(line)))


def is_mentioned(match: re.Match, text: str) -> bool:
    """Whether the grade is an example, or one that the judge denies."""
    return bool(MENTIONED.search(text[max(0, match.start() - 60) : match.start()]))
