r"""Read the verdict in a judge's text: the last of its labels, in any of the forms in which judges write them.

A verdict is one of A>>B, A>B, A=B, B>A and B>>A. Read are [[A>B]], [A>B], \boxed{A \gg B}, \[\[a > b\]\], B<A, [[A]]
and so on. Thinking is no part of the judgment: what is before its end is left out, and a text that ends while it thinks
has no verdict. A label without brackets counts only as the end of a text, because prose and code have such signs too.
"""

import re
import unicodedata

from scripts.tables.thinking import after_thinking

FORMAT = re.compile(r"\\(?:text|mathrm|mathbf|mathit|mathsf|textbf|textit|texttt|boldsymbol|bm)\s*\{([^{}]*)\}")
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}")
SIGNS = {r"\\gg(?![a-z])|≫|»|≻≻": ">>", r"\\ll(?![a-z])|≪|«|≺≺": "<<", r"\\(?:gt|succ)(?![a-z])|≻": ">"}
SIGNS |= {r"\\(?:lt|prec)(?![a-z])|≺": "<", r"&gt;": ">", r"&lt;": "<", r"\\(?:approx|sim|equiv)(?![a-z])|≈": "="}
MARKUP = re.compile(r"\\[,;:! ]|[*`$\"“”\u200b\ufeff]|\\(?=[\[\]()])")

NAME = r"(?:(?:assistant|answer|response|model|output)[ _]*)?"
LABEL = rf"(?<![\w<>=]){NAME}(?P<x>[ab])\s*(?P<sign>>\s?>|<\s?<|>|<|==?)\s*{NAME}(?P<y>[ab])(?![\w<>=])"
COMPARISON = re.compile(rf"(?P<open>\[*)\s*{LABEL}\s*(?P<close>\]*)", re.I)
ALONE = re.compile(rf"\[\[\s*{NAME}(?P<name>a|b|tie)\s*\]\]?", re.I)
END = re.compile(r"[\s\].!;')]*")
WHOLE_LINE = re.compile(r"(?:[\w' ]*:)?\s*")
MENU = ["A>>B", "A>B", "A=B", "B>A", "B>>A"]

STRICT = re.compile(r"\[\[([AB<>=]+)\]\]")

BETTER = r"(?: is (?:the )?(?:much |slightly |clearly )?better(?: one| answer)?| wins)?"
WINNER = re.compile(rf"(?:.*:)?\s*(?:the )?{NAME}(?P<name>a|b|tie){BETTER}", re.I)


def verdict(text: str, cut: bool = False) -> str | None:
    """The verdict in a judge's text; None if it has none. cut: the text ended at the limit of its tokens.

    A text that was cut has a verdict only if it ends with it: a label inside it may be a draft.
    """
    text = normal(after_thinking(text) or "")
    found = bracketed(text) or at_the_end(text)
    if not found or (cut and not END.fullmatch(text, found[-1][1])):
        return None
    return found[-1][0]


def winner(text: str, cut: bool = False) -> str | None:
    """Like verdict, for a judge that is asked for one word: A>B if it names A, B>A for B, A=B for tie; else None."""
    found = verdict(text, cut)
    if found or cut:
        return found
    lines = normal(after_thinking(text) or "").strip(" \n'.!,;()[]").splitlines()
    named = WINNER.fullmatch(lines[-1].strip()) if lines else None
    return alone(named) if named else None


def strict_verdict(text: str) -> str | None:
    """The verdict as arena-hard-auto v0.1 reads it; None if there is none or if labels differ.

    Its labels are everything of A, B, <, > and = in double brackets; those that are not one of the five count as none
    in a score.
    """
    found = set(STRICT.findall(text))
    return found.pop() if len(found) == 1 else None


def normal(text: str) -> str:
    """The text without LaTeX and Markdown, with plain spaces and the signs < > =."""
    text = unicodedata.normalize("NFKC", text)
    text = BOXED.sub(r"[[\1]]", FORMAT.sub(r"\1", text))
    for sign, plain in SIGNS.items():
        text = re.sub(sign, plain, text)
    return MARKUP.sub("", text)


def bracketed(text: str) -> list[tuple[str, int]]:
    """The labels in brackets, each with its end in the text. Repetitions of all five in order are left out."""
    found = [(compared(match), match.end()) for match in COMPARISON.finditer(text) if in_brackets(match, text)]
    found += [(alone(match), match.end()) for match in ALONE.finditer(text)]
    found = sorted(((label, end) for label, end in found if label), key=lambda label: label[1])
    while [label for label, _ in found[-5:]] in (MENU, MENU[::-1]):
        del found[-5:]
    return found


def in_brackets(match: re.Match, text: str) -> bool:
    """Whether a label has two brackets at least. x[a > b] is code."""
    is_index = match["open"] == "[" and re.search(r"[\w\])]$", text[: match.start()])
    return len(match["open"]) + len(match["close"]) >= 2 and not is_index


def at_the_end(text: str) -> list[tuple[str, int]]:
    """The label without brackets that ends the text: in capital letters, or as the only words of its line."""
    last = next(reversed(list(COMPARISON.finditer(text))), None)
    if not last or in_brackets(last, text) or not END.fullmatch(text, last.end()):
        return []
    line = text[text.rfind("\n", 0, last.start()) + 1 : last.start()]
    is_plain = (last["x"].isupper() and last["y"].isupper()) or WHOLE_LINE.fullmatch(line)
    return [(compared(last), last.end())] if is_plain and compared(last) else []


def compared(match: re.Match) -> str | None:
    """A match of COMPARISON as one of the five labels: B<A is A>B, B=A is A=B; None if both sides are the same."""
    x, y, sign = match["x"].upper(), match["y"].upper(), match["sign"].replace(" ", "")
    if x == y:
        return None
    if "=" in sign:
        return "A=B"
    return f"{x}{sign}{y}" if ">" in sign else f"{y}{sign.replace('<', '>')}{x}"


def alone(match: re.Match) -> str:
    """The label of a judge that names one answer, or a tie."""
    return {"a": "A>B", "b": "B>A", "tie": "A=B"}[match["name"].lower()]
