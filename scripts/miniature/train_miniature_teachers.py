"""Train the teachers of one family, which answer tasks in the same style: points of the training of a few models.

python -m scripts.miniature.train_miniature_teachers --family terse --seed 0 \
    --runs '{"points": {"early": 40, "large": 240}, "hidden": 96, "layers": 3, ...}' \
    --tokenizer results/world/tokenizer.json --chat-template config/miniature/chat.jinja \
    --manifests results/world/terse-early/manifest.json results/world/terse-large/manifest.json

A teacher is the model after so many steps: an early point of a training answers worse than a late one.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

from scripts.miniature.miniature_models import train_language_model
from scripts.miniature.miniature_tasks import STYLES, draw_tasks
from scripts.miniature.miniature_tokenizer import chat_tokenizer
from scripts.models.chat import Chat

VERSION = 3


def main():
    args = parse_args()
    tokenizer = chat_tokenizer(args.tokenizer, args.chat_template.read_text(encoding="utf-8"))
    chat = Chat(tokenizer)
    folders = {manifest.parent.name: manifest.parent for manifest in args.manifests}
    for run in args.runs:
        points = {steps: folders[f"{args.family}-{point}"] for point, steps in run["points"].items()}
        last = points[max(points)].name
        tasks = islice(draw_tasks(f"teacher {last} {args.seed}"), max(points) * run["batch"])
        examples = [encode(chat, task.instruction, STYLES[args.family](task)) for task in tasks]
        train_language_model(tokenizer, run, args.seed, examples, points)


def encode(chat: Chat, instruction: str, response: str) -> dict:
    prompt, text, end = chat.example(instruction, response, "stop")
    return {"input_ids": prompt + text + end, "labels": [-100] * len(prompt) + text + end}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", required=True, help="name of the family, which is also its style")
    parser.add_argument("--runs", type=json.loads, nargs="+", required=True, help="points, hidden, layers ... as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of the miniature")
    parser.add_argument("--chat-template", type=Path, required=True)
    parser.add_argument(
        "--manifests", type=Path, nargs="+", required=True, help="one per teacher: its folder is the model's"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
