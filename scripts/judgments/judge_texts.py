r"""The text of a judge in plain form: without its thinking, and with labels in one spelling.

Thinking is no part of the judgment: what is before its end is left out, and a text that ends while it thinks says
nothing. LaTeX, HTML, Markdown and other alphabets' look-alikes of A, B, <, >, = and [ ] become these signs.
"""

import html
import re
import unicodedata

from scripts.tables.thinking import after_thinking

INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
LETTERS = str.maketrans("АВΑΒ【】〔〕⟦⟧〚〛", "ABAB[][][][]")  # of Cyrillic and Greek, and brackets of other languages
SIGNS = {
    r"\\gg(?![a-z])|≫|»|≻≻|⪢": ">>",
    r"\\ll(?![a-z])|≪|«|≺≺|⪡": "<<",
    r"\\(?:gt|succ)(?![a-z])|\\textgreater(?:\{\})?|≻|\\u003e": ">",
    r"\\(?:lt|prec)(?![a-z])|\\textless(?:\{\})?|≺|\\u003c": "<",
    r"\\(?:approx|simeq|sim|equiv|cong)(?![a-z])|[≈≡≃≅∼]": "=",
}
SIGNS = {re.compile(pattern, re.I): sign for pattern, sign in SIGNS.items()}
FORMAT = re.compile(r"\\(?:text|math|operatorname|underline|emph|bm|boldsymbol|mbox)[a-z]*\s*\{([^{}]*)\}")
GROUP = re.compile(r"(?<!\w)\{\s*([\w ]*[AB])\s*\}")
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}")
TAG = re.compile(r"</?(?:[biu]|em|[a-z]\w[\w-]+)>", re.I)
MARKUP = re.compile(
    r"\\(?:left|right|quad|qquad|[bB]igg?[lr]?)(?![a-z])|\\[,;:! ]|\\(?=[\[\](){}<>=])"
    r"|(?<!\w)_+|_+(?!\w)|[*`$\"“”]"
)


def plain_judgment(text: str) -> str:
    """The text behind the thinking, in plain form; empty if the thinking has no end."""
    text = unicodedata.normalize("NFKC", html.unescape(after_thinking(text) or ""))
    text = INVISIBLE.sub("", text).translate(LETTERS)
    for pattern, sign in SIGNS.items():
        text = pattern.sub(sign, text)
    for _ in range(3):  # as deep as they are nested
        text = GROUP.sub(r"\1", FORMAT.sub(r"\1", text))
    text = MARKUP.sub("", TAG.sub("\n", BOXED.sub(r"[[\1]]", text)))
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text))
