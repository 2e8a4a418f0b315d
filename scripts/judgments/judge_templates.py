"""What a judge is asked: a text of messages between <|im_start|> and <|im_end|>, as AlpacaEval's own templates are."""

import re
from pathlib import Path

MESSAGE = re.compile(r"<\|im_start\|>(system|user|assistant)\s*\n(.*?)\s*<\|im_end\|>", re.S)
PLACE = re.compile(r"\{(instruction|output_1|output_2)\}")


def read_template(path: Path) -> list[dict]:
    """The messages of a template. Exits for one without the instruction and both outputs in their order."""
    messages = [
        {"role": role, "content": content} for role, content in MESSAGE.findall(path.read_text(encoding="utf-8"))
    ]
    places = [place for message in messages for place in PLACE.findall(message["content"])]
    if "instruction" not in places or [p for p in places if p != "instruction"] != ["output_1", "output_2"]:
        raise SystemExit(f"{path}: needs {{instruction}}, {{output_1}} and then {{output_2}}, and has {places}")
    return messages


def fill_template(template: list[dict], instruction: str, output_1: str, output_2: str) -> list[dict]:
    """The messages with the texts in their places; braces within a text stay what they are."""
    texts = {"instruction": instruction, "output_1": output_1, "output_2": output_2}
    return [
        {"role": message["role"], "content": PLACE.sub(lambda place: texts[place[1]], message["content"])}
        for message in template
    ]
