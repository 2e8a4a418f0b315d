"""Prompt templates of a judge: messages between <|im_start|> and <|im_end|>, the format of AlpacaEval's templates."""

import re
from pathlib import Path

MESSAGE = re.compile(r"<\|im_start\|>(system|user|assistant)\s*\n(.*?)\s*<\|im_end\|>", re.S)
PLACEHOLDER = re.compile(r"\{(instruction|output_1|output_2)\}")


def read_template(path: Path) -> list[dict]:
    """The messages (role, content) of a template. Exits if a placeholder is missing or the outputs are swapped."""
    messages = [
        {"role": role, "content": content} for role, content in MESSAGE.findall(path.read_text(encoding="utf-8"))
    ]
    found = [name for message in messages for name in PLACEHOLDER.findall(message["content"])]
    if "instruction" not in found or [name for name in found if name != "instruction"] != ["output_1", "output_2"]:
        raise SystemExit(
            f"{path}: needs {{instruction}}, and {{output_1}} once and then {{output_2}} once; found: {found}"
        )
    return messages


def fill_template(template: list[dict], instruction: str, output_1: str, output_2: str) -> list[dict]:
    """The messages with the texts filled in; placeholders inside a text are not replaced."""
    texts = {"instruction": instruction, "output_1": output_1, "output_2": output_2}
    return [
        {"role": message["role"], "content": PLACEHOLDER.sub(lambda match: texts[match[1]], message["content"])}
        for message in template
    ]
