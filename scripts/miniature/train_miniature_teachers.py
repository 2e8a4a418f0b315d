"""Train the teachers of one family: models of several sizes that answer tasks in the same style.

python -m scripts.miniature.train_miniature_teachers --family terse --sizes '{"small": {"hidden": 64, ...}}' --seed 0 \
    --tokenizer results/world/tokenizer.json --chat-template config/miniature/chat.jinja \
    --manifests results/world/terse-small/manifest.json
"""

import argparse
import json
from itertools import islice
from pathlib import Path

from scripts.miniature.miniature_models import train_language_model
from scripts.miniature.miniature_tasks import STYLES, draw_tasks
from scripts.miniature.miniature_tokenizer import chat_tokenizer
from scripts.models.chat import Chat

VERSION = 2


def main():
    args = parse_args()
    tokenizer = chat_tokenizer(args.tokenizer, args.chat_template.read_text(encoding="utf-8"))
    chat = Chat(tokenizer)
    for (name, size), manifest in zip(sorted(args.sizes.items()), args.manifests, strict=True):
        tasks = islice(draw_tasks(f"teacher {args.family} {name} {args.seed}"), size["steps"] * size["batch"])
        examples = [encode(chat, task.instruction, STYLES[args.family](task)) for task in tasks]
        train_language_model(tokenizer, size, args.seed, examples, manifest.parent)


def encode(chat: Chat, instruction: str, response: str) -> dict:
    prompt, text, end = chat.example(instruction, response, "stop")
    return {"input_ids": prompt + text + end, "labels": [-100] * len(prompt) + text + end}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", required=True, help="name of the family, which is also its style")
    parser.add_argument("--sizes", type=json.loads, required=True, help="teacher to hidden, layers, steps ... as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of the miniature")
    parser.add_argument("--chat-template", type=Path, required=True)
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="one per size, in alphabetical order")
    return parser.parse_args()


if __name__ == "__main__":
    main()
