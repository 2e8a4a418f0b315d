"""Thinking in what a model wrote: where it ends, and what the answer is.

A text begins with its thinking, between two tags (PAIRS), or in the channel `analysis` of gpt-oss's format, Harmony. If
the chat template ends the prompt inside the thinking, there is only the closing tag. Tags that do not begin a text are
part of the answer, which may be about them.
"""

import re
from typing import NamedTuple

PAIRS = {
    "<think>": "</think>",  # DeepSeek, Qwen, GLM, MiniMax and many more
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",  # Seed-OSS
    "[THINK]": "[/THINK]",  # Magistral
    "◁think▷": "◁/think▷",  # Kimi
    "<|begin_of_thought|>": "<|end_of_thought|>",  # Sky-T1, OpenThoughts
}


def any_of(tags) -> str:
    return "|".join(map(re.escape, tags))


OPEN, CLOSE = re.compile(any_of(PAIRS), re.I), re.compile(any_of(PAIRS.values()), re.I)
ENDS_OPEN = re.compile(rf"({any_of(PAIRS)}|<\|channel\|>analysis<\|message\|>)\s*$", re.I)
CHANNELS = re.compile(r"\s*(<\|start\|>assistant)?<\|channel\|>")
MARK = rf"(?i){any_of([*PAIRS, *PAIRS.values()])}|<\|channel\|>"  # what every text with thinking in it has
OF_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>\w+)[^<]*(<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?=<\|(end|return|call|start|channel)\|>|\Z)",
    re.S,
)
CALL = re.compile(r"<\|channel\|>\s*\w+ to=")
ON_ITS_OWN_LINE = re.compile(rf"^[ \t]*({any_of(PAIRS.values())})|({any_of(PAIRS.values())})[ \t]*$", re.I | re.M)
SPACE_BEFORE = re.compile(r"\A(\s*\n|\s+)")  # the indentation of a first line of code is kept

# of everything that a judge may write before its judgment
DRAFT = r"(?:\w+[:_])?(?:think|thinking|thoughts?|reasoning|reason|analysis|scratchpad|reflection)"
DRAFT_OPEN = re.compile(
    rf"<{DRAFT}\s*>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|START_THINKING|channel\|>(?:analysis|commentary))\b", re.I
)
DRAFT_CLOSE = re.compile(
    rf"</{DRAFT}\s*>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|END_THINKING)\|>|<\|channel\|>final<\|message\|>", re.I
)

TAGS = {tag.lower() for pair in PAIRS.items() for tag in pair}
TAGS |= {f"<|{name}|>" for name in ("start", "channel", "message", "end", "return", "call", "constrain")}


class Parts(NamedTuple):
    thinking: str | None  # None: there is none
    answer: str | None  # None: the thinking has no end


def divide(text: str) -> Parts:
    """The thinking and the answer of a text; a text without thinking is the answer, as it is."""
    if CHANNELS.match(text):
        return of_channels(text)
    thinking, rest = [], text
    while opened := OPEN.match(rest.lstrip()):
        inner = rest.lstrip()[opened.end() :]
        closed = re.search(re.escape(PAIRS[spelled(opened[0])]), inner, re.I)
        thinking.append(inner[: closed.start()] if closed else inner)
        if not closed:
            return Parts(joined(thinking), None)
        rest = inner[closed.end() :]
    if not thinking and (closed := only_closed(text)):
        thinking, rest = [text[: closed.start()]], text[closed.end() :]
    return Parts(joined(thinking), SPACE_BEFORE.sub("", rest)) if thinking else Parts(None, text)


def only_closed(text: str) -> re.Match | None:
    """The closing tag of a text that begins inside its thinking; None if the text does not.

    The tag begins or ends its line, as models write it, and no tag was opened before it.
    """
    line = ON_ITS_OWN_LINE.search(text)
    if not line or OPEN.search(text, 0, line.start()):
        return None
    return CLOSE.search(text, line.start())


def of_channels(text: str) -> Parts:
    """The last text of the channel `final`, and the texts of all others."""
    found = [(message["name"], message["text"]) for message in OF_CHANNEL.finditer(text)]
    answers = [message for name, message in found if name == "final"]
    thinking = joined([message for name, message in found if name != "final"])
    return Parts(thinking, answers[-1].strip() if answers else None)


def after_thinking(text: str) -> str | None:
    """The text behind the last end of thinking, wherever it is; None if the last thinking has no end.

    For verdicts: a label in any thinking may be a draft.
    """
    if CHANNELS.match(text):
        return of_channels(text).answer
    text = DRAFT_CLOSE.split(text)[-1]
    return None if DRAFT_OPEN.search(text) else text


def begins_inside(text: str) -> bool:
    """Whether a text has only the closing tag."""
    return not OPEN.match(text.lstrip()) and only_closed(text) is not None


def thinking_beside(entry: dict) -> str | None:
    """What a message has as thinking beside its text: in a field, or in parts of its content."""
    beside = [entry.get(name) for name in ("reasoning_content", "reasoning", "thinking")]
    content = entry.get("content")
    parts = [part.get("thinking") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return next((text for text in [*beside, *parts] if isinstance(text, str) and text.strip()), None)


def has_thinking(text: str) -> bool:
    """Whether a text has thinking, or tags of some, and no call of a tool in a channel of Harmony."""
    return divide(text) != Parts(None, text) and not CALL.search(text)


def is_tag(token: str) -> bool:
    """Whether a special token is one of those around thinking."""
    return token.lower() in TAGS


def tag_at_the_end(prompt: str) -> str:
    """The opening tag that ends a rendered prompt, so that the answer begins inside the thinking; "" if none does."""
    found = ENDS_OPEN.search(prompt)
    return found[1] if found else ""


def with_thinking(parts: Parts) -> str:
    """Thinking and answer as one text, in one form for all models."""
    return f"<think>\n{parts.thinking}\n</think>\n\n{parts.answer}" if parts.thinking else parts.answer


def spelled(tag: str) -> str:
    return next(name for name in PAIRS if name.lower() == tag.lower())


def joined(texts: list[str]) -> str | None:
    return "\n\n".join(text.strip() for text in texts if text.strip()) or None
