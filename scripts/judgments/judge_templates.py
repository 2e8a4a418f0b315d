"""Prompt templates of a judge: messages between <|im_start|> and <|im_end|>, the format of AlpacaEval's templates.

A judge of two answers has the placeholders {instruction}, {output_1} and {output_2}; one that grades a single answer
has {instruction} and {output}, and may have {reference}. A part between <|reference|> and <|/reference|> is left out
for a prompt without a reference answer.
"""

import re
from pathlib import Path

MESSAGE = re.compile(r"<\|im_start\|>(system|user|assistant)\s*\n(.*?)\s*<\|im_end\|>", re.S)
PLACEHOLDERS = ("instruction", "output", "output_1", "output_2", "reference")
PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
OF_REFERENCE = re.compile(r"<\|reference\|>\n?(.*?)<\|/reference\|>\n?", re.S)
PAIR, SINGLE = ["output_1", "output_2"], ["output"]  # placeholders of the answers


def read_template(path: Path, *kinds: list[str]) -> list[dict]:
    """The messages (role, content) of a template. Exits if a placeholder is missing or the outputs are swapped.

    kinds: PAIR or SINGLE, what the template is for; either of them if left out.
    """
    kinds = kinds or (PAIR, SINGLE)
    messages = [
        {"role": role, "content": content} for role, content in MESSAGE.findall(path.read_text(encoding="utf-8"))
    ]
    found = [name for message in messages for name in PLACEHOLDER.findall(message["content"])]
    if "instruction" not in found or [name for name in found if name.startswith("output")] not in kinds:
        needed = ", or ".join(" once and then ".join(f"{{{name}}}" for name in kind) + " once" for kind in kinds)
        raise SystemExit(f"{path}: needs {{instruction}}, and {needed}; found: {found}")
    return messages


def fill_template(template: list[dict], **texts: str | None) -> list[dict]:
    """The messages with the texts filled in; placeholders inside a text are not replaced. texts: see PLACEHOLDER."""
    return [{"role": message["role"], "content": filled(message["content"], texts)} for message in template]


def filled(content: str, texts: dict[str, str | None]) -> str:
    content = OF_REFERENCE.sub(r"\1" if texts.get("reference") else "", content)
    return PLACEHOLDER.sub(lambda match: texts[match[1]] or "", content)
