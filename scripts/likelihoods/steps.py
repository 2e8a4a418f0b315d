"""Where the steps of a response begin, for ASLEC (2604.06834, merge_cal_limo_ours.py).

A step ends after a full stop or a question mark that a space follows; its first token is the one with the first
character after that, to which the space mostly belongs.
"""

import re

STEP_END = re.compile(r"[.?] ")
SPACES = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n", "ĉ": "\t"})  # of byte-level tokens and of SentencePiece


def first_tokens(pieces: list[str]) -> list[int]:
    """Numbers of the first tokens of all steps, from the tokens as the vocabulary spells them."""
    pieces = [piece.translate(SPACES) for piece in pieces]
    text = "".join(pieces)
    owner = [number for number, piece in enumerate(pieces) for _ in piece]  # of each character
    starts = [found.end() for found in STEP_END.finditer(text, 0, len(text.rstrip()))]
    return sorted({0, *(owner[start] for start in starts)}) if pieces else []
