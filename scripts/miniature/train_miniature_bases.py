"""Train the base models: language models trained on raw text, each with its own mixture of styles.

python -m scripts.miniature.train_miniature_bases \
    --bases '{"alpha": {"styles": {"terse": 1.0}, "model": {...}}}' --seed 0 \
    --manifests results/world/alpha/manifest.json
"""

import argparse
import json
from itertools import islice
from pathlib import Path

from scripts.miniature.miniature_models import byte_tokenizer, train_language_model
from scripts.miniature.miniature_tasks import draw_notes

VERSION = 1


def main():
    args = parse_args()
    tokenizer = byte_tokenizer()
    for (name, base), manifest in zip(sorted(args.bases.items()), args.manifests, strict=True):
        size = base["model"]
        documents = islice(draw_notes(f"base {name} {args.seed}", base["styles"]), size["steps"] * size["batch"])
        examples = [{"input_ids": ids, "labels": ids} for ids in map(lambda text: encode(tokenizer, text), documents)]
        train_language_model(tokenizer, size, args.seed, examples, manifest.parent)


def encode(tokenizer, text: str) -> list[int]:
    return [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=json.loads, required=True, help="base to its styles and model size, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="one per base, in alphabetical order")
    return parser.parse_args()


if __name__ == "__main__":
    main()
