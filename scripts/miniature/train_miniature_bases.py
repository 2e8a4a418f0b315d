"""Train the base models: language models trained on raw text, each with its own mixture of styles.

python -m scripts.miniature.train_miniature_bases \
    --bases '{"alpha": {"styles": {"terse": 1.0}, "model": {...}}}' --seed 0 \
    --tokenizer results/world/tokenizer.json --manifests results/world/alpha/manifest.json

The loss is on the answers alone: the words of the questions are random, and nothing can be learned from them.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

from scripts.miniature.miniature_models import train_language_model
from scripts.miniature.miniature_tasks import draw_notes
from scripts.miniature.miniature_tokenizer import chat_tokenizer

VERSION = 3


def main():
    args = parse_args()
    tokenizer = chat_tokenizer(args.tokenizer)
    for (name, base), manifest in zip(sorted(args.bases.items()), args.manifests, strict=True):
        size = base["model"]
        notes = islice(draw_notes(f"base {name} {args.seed}", base["styles"]), size["steps"] * size["batch"])
        examples = [encode(tokenizer, *note) for note in notes]
        train_language_model(tokenizer, size, args.seed, examples, {size["steps"]: manifest.parent})


def encode(tokenizer, question: str, answer: str) -> dict:
    asked = tokenizer(question).input_ids
    given = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return {"input_ids": asked + given, "labels": [-100] * len(asked) + given}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=json.loads, required=True, help="base to its styles and model size, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of the miniature")
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="one per base, in alphabetical order")
    return parser.parse_args()


if __name__ == "__main__":
    main()
