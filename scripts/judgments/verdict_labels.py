r"""Read the verdict in a judge's text: the last of its labels, in any of the forms in which judges write them.

A verdict is one of A>>B, A>B, A=B, B>A and B>>A. Read are [[A>B]], [A>B], \boxed{A \gg B}, \[\[a > b\]\], B<A, [[A]]
and so on. No verdict are labels that a judge only mentions: a list to choose from, an example, one that it denies. A
label without brackets counts only as the end of a text, alone on its line or with a word such as verdict before it,
because prose and code have such signs too.
"""

import re
from typing import NamedTuple

from scripts.judgments.judge_texts import plain_judgment

NAME = r"(?:(?:assistant|answer|response|model|output|option)[ _]?)?"
SIGN = r">\s?>|<\s?<|>|<|==?"
LABEL = rf"(?<![\w<>=])(?P<names>{NAME}(?P<x>[ab])\s?(?P<sign>{SIGN})\s?{NAME}(?P<y>[ab]))(?![\w<>=])"
COMPARISON = re.compile(rf"(?P<open>(?:\[ ?){{0,3}}\s?){LABEL}(?P<close>(?:\s?\]){{0,3}})", re.I)
ALONE = re.compile(rf"\[\[\s?{NAME}(?P<name>a|b|tie)\s?\]\]?", re.I)
APART = re.compile(
    rf"(?<![A-Za-z0-9_)\]])\[{{1,3}}((?i:{NAME})[AB])\]{{1,3}}( ?(?:{SIGN}) ?)\[{{1,3}}((?i:{NAME})[AB])\]"
)
END = re.compile(r"[\s\].!;')}|]*")
LINE_START = re.compile(r"[\s>#+•|({-]*(?:[\w' ]*:)?[\s({]*")
CUE = re.compile(r"\b(?:verdict|judge?ment|label|choice|choose|pick|decision|decide|conclusion|rating)\b[^.!?]*$", re.I)
LISTED = re.compile(r"(?=.*(?:[,/|;]|or|and|vs|else))(?:[\s,/|;'()]|\b(?:or|and|vs|else|otherwise)\b\.?)*", re.S)
ASKED = re.compile(r"[\s')]*\?")
MENTIONED = re.compile(
    r"(?:(?:\bnot|n't)(?: (?:say|call it|give|choose|quite|really|necessarily))?|\b(?:nor|never|than|instead of"
    r"|example(?: output)?|e\.g\.|for instance|such as))[\s:,'(]*(?:my final verdict is (?:a )?tie: )?$",
    re.I,
)
LABELS = {"A>>B", "A>B", "A=B", "B>A", "B>>A"}

STRICT = re.compile(r"\[\[([AB<>=]+)\]\]")
SINGLE = re.compile(r"\[([AB<>=]+)\]")
TURNED = {"A<<B": "B>>A", "A<B": "B>A", "B=A": "A=B", "B<A": "A>B", "B<<A": "A>>B"}

DEGREE = r"(?:much |far |slightly |clearly |significantly |the )*"
BETTER = rf"(?:'s (?:answer|response)| wins| is {DEGREE}(?:better|best|winner|stronger|superior|preferred)(?: one"
BETTER += rf"| answer| response| assistant)?(?: than {NAME}[ab])?)?"
LEAD = r"(?:.*:|.*\b(?:prefer|choose|pick|go with)"
LEAD += r"|.*\b(?:(?:better|best)(?: one| answer)?|answer|winner|verdict|choice|it)(?: is|'s))?"
WINNER = re.compile(rf"(?P<lead>{LEAD})\s*(?:the |an? (?=tie))?{NAME}(?P<name>a|b|tie){BETTER}", re.I)
ONE_WORD = re.compile(rf"{NAME}(?P<name>a|b)", re.I)
WORSE = re.compile(r"\b(?:worse|worst|weaker|inferior|loser|losing|not|neither|never|cannot)\b|n't\b", re.I)


class Label(NamedTuple):
    """A label in a text, from start to end."""

    name: str
    start: int
    end: int
    kind: str  # brackets | bare | alone


def verdict(text: str, cut: bool = False) -> str | None:
    """The verdict in a judge's text; None if it has none. cut: the text ended at the limit of its tokens.

    A text that was cut has a verdict only if it ends with it: a label inside it may be a draft.
    """
    text = APART.sub(r"[[\1\2\3]]", plain_judgment(text))
    labels = meant(labels_in(text), text)
    found = [label for label in labels if label.kind != "bare"] or [label for label in labels[-1:] if ends(label, text)]
    if not found or (cut and not END.fullmatch(text, found[-1].end)):
        return None
    return found[-1].name


def winner(text: str, cut: bool = False) -> str | None:
    """Like verdict, for a judge that is asked for one word: A>B if it names A, B>A for B, A=B for tie; else None.

    The word ends the text, or is its first line.
    """
    found = verdict(text, cut)
    if found or cut:
        return found
    lines = [line.strip(" .,!;'>#+•-") for line in re.sub(r"[\[\](){}]", "", plain_judgment(text)).splitlines()]
    lines = [line for line in lines if line]
    last = WINNER.fullmatch(lines[-1]) if lines else None
    if last:
        return None if WORSE.search(last["lead"]) else of_name(last)
    words = [word for word in map(ONE_WORD.fullmatch, lines) if word]
    return of_name(words[0]) if len(words) == 1 and words[0].string == lines[0] else None


def strict_verdict(text: str) -> str | None:
    """The verdict as arena-hard-auto v0.1 reads it; None if there is none or if labels differ.

    Its labels are everything of A, B, <, > and = in double brackets; those that are not one of the five count as none
    in a score.
    """
    found = set(STRICT.findall(text))
    return found.pop() if len(found) == 1 else None


def last_label(text: str) -> str | None:
    """The verdict as arena-hard-auto v2.0 reads it: the last label in double brackets, or without any in single ones.

    None for a label that is not one of the five in either direction.
    """
    found = STRICT.findall(text.upper()) or SINGLE.findall(text.upper())
    label = TURNED.get(found[-1], found[-1]) if found else None
    return label if label in LABELS else None


def labels_in(text: str) -> list[Label]:
    """Every label in a text, in their order."""
    found = [Label(of_signs(m), m.start(), m.end(), kind_of(m, text)) for m in COMPARISON.finditer(text)]
    found += [Label(of_name(m), m.start(), m.end(), "alone") for m in ALONE.finditer(text)]
    return sorted((label for label in found if label.name and label.kind != "code"), key=lambda label: label.start)


def kind_of(match: re.Match, text: str) -> str:
    """brackets: two at least, three if it has small letters; x[a > b] is code."""
    before = text[max(0, match.start() - 1) : match.start()]
    opened, brackets = match["open"].count("["), (match["open"] + match["close"]).count("[")
    brackets += match["close"].count("]")
    is_small = match["x"].islower() or match["y"].islower()
    if opened and re.match(r"[A-Za-z0-9_)\]]", before) and (opened == 1 or is_small):
        return "code"
    return "brackets" if brackets >= (3 if is_small else 2) else "bare"


def meant(labels: list[Label], text: str) -> list[Label]:
    """The labels without those that are only mentioned: listed to choose from, given as an example, denied, asked."""
    lists: list[list[Label]] = []
    for label in labels:
        follows = lists and LISTED.fullmatch(text[lists[-1][-1].end : label.start])
        lists = [*lists[:-1], [*lists[-1], label]] if follows else [*lists, [label]]
    one = [chain[-1] for chain in lists if len({label.name for label in chain}) == 1]
    one = [label for label in one if not MENTIONED.search(text[max(0, label.start - 60) : label.start])]
    one = [label for label in one if not ASKED.match(text, label.end)]
    while {label.name for label in one[-5:]} == LABELS:  # all five, with what they mean
        del one[-5:]
    names = {label.name for label in one if label.kind == "alone"}
    return one if len(names) < 2 else [label for label in one if label.kind != "alone"]


def ends(label: Label, text: str) -> bool:
    """Whether a label without brackets ends the text as its verdict."""
    line = text[text.rfind("\n", 0, label.start) + 1 : label.start]
    is_verdict = LINE_START.fullmatch(line) or CUE.search(line)
    return bool(END.fullmatch(text, label.end) and is_verdict)


def of_signs(match: re.Match) -> str | None:
    """A match of COMPARISON as one of the five labels: B<A is A>B, B=A is A=B; None if both sides are the same."""
    x, y, sign = match["x"].upper(), match["y"].upper(), re.sub(r"\s", "", match["sign"])
    if x == y:
        return None
    if "=" in sign:
        return "A=B"
    return f"{x}{sign}{y}" if ">" in sign else f"{y}{sign.replace('<', '>')}{x}"


def of_name(match: re.Match) -> str:
    """The label of a judge that names one answer, or a tie."""
    return {"a": "A>B", "b": "B>A", "tie": "A=B"}[match["name"].lower()]
