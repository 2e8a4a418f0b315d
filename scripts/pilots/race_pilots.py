r"""Decide after a size which teachers of a base have pilots of the next size.

python -m scripts.pilots.race_pilots --base alpha --size 250 --score gsm8k.accuracy --target 50000 \
    --judgments results/mine/judgments/gsm8k/alpha/*@n250s?.parquet \
    --scores results/mine/scores/gsm8k/alpha/*@n250s?.json \
    --output results/mine/pilots/alpha/after_250.json

The judgments and scores are those of all pilots so far. The decision follows from them alone (race.py): the same
pilots give the same decision.
"""

import argparse
from pathlib import Path

import numpy as np

from scripts.pilots.measured import read_pilots
from scripts.pilots.race import RISK, decide
from scripts.tables.text_files import write_json


def main():
    args = parse_args()
    teachers, cells, lost = read_pilots(args.judgments, args.scores, args.score)
    chances, left = decide(cells, len(teachers), args.target)
    ran = np.isin(np.arange(len(teachers)), cells.teacher[cells.size == args.size])
    decision = {
        "base": args.base,
        "size": args.size,
        "running": [name for name, here, gone in zip(teachers, ran, left, strict=True) if here and not gone],
        "left": [name for name, here, gone in zip(teachers, ran, left, strict=True) if here and gone],
        "p_best": {name: round(float(chance), 4) for name, chance in zip(teachers, chances, strict=True)},
        "risk": RISK,
        "without_a_score": lost,
    }
    if len(decision["running"]) == 1:  # nobody is left to compare it with
        decision["running"], decision["winner"] = [], decision["running"][0]
    write_json(decision, args.output)
    print(f"{args.base} after {args.size} examples: {decision}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--size", type=int, required=True, help="the largest size so far")
    parser.add_argument("--score", required=True, help="what pilots are compared by, such as gsm8k.accuracy")
    parser.add_argument("--target", type=int, required=True, help="the size that scores are predicted for")
    parser.add_argument("--judgments", type=Path, nargs="*", required=True, help="parquet, one per pilot")
    parser.add_argument("--scores", type=Path, nargs="*", required=True, help="JSON, one per pilot")
    parser.add_argument("--output", type=Path, required=True, help="JSON of the decision")
    return parser.parse_args()


if __name__ == "__main__":
    main()
