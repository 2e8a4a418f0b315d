"""Train the tokenizer of all models of the miniature study: byte-level BPE with tokens that begin with a space.

python -m scripts.miniature.train_miniature_tokenizer --seed 0 --notes 4000 --merges 80 \
    --output results/world/tokenizer.json
"""

import argparse
from itertools import islice
from pathlib import Path

from scripts.miniature.miniature_tasks import STYLES, draw_notes
from scripts.miniature.miniature_tokenizer import train_bpe
from scripts.tables.text_files import write_text

VERSION = 2


def main():
    args = parse_args()
    notes = islice(draw_notes(f"tokenizer {args.seed}", dict.fromkeys(STYLES, 1.0)), args.notes)
    write_text(train_bpe(map("".join, notes), args.merges).to_str(pretty=True) + "\n", args.output)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--notes", type=int, required=True, help="number of notes that it is trained on")
    parser.add_argument("--merges", type=int, required=True, help="number of tokens beyond bytes and control tokens")
    parser.add_argument("--output", type=Path, required=True, help="tokenizer.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
