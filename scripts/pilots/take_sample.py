r"""The instructions of the pilots of one size: the first ones of the study's instructions.

python -m scripts.pilots.take_sample --size 250 --instructions results/mine/instructions.parquet \
    --output results/mine/pilots/instructions/250.parquet

The study's instructions are in a random order that does not depend on their number (prepare_instructions.py): a larger
sample contains a smaller one, and all teachers have the same.
"""

import argparse
from pathlib import Path

from scripts.tables.files import read_table, write_table


def main():
    args = parse_args()
    instructions = read_table(args.instructions)
    if instructions.height < args.size:
        raise SystemExit(
            f"pilots.sizes: {args.size} examples, and the study has {instructions.height} instructions: raise "
            "instructions.n, or remove this size"
        )
    write_table(instructions.head(args.size), args.output)
    print(f"the first {args.size} of {instructions.height} instructions")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, required=True, help="number of instructions")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet of the study's instructions")
    parser.add_argument("--output", type=Path, required=True, help="parquet")
    return parser.parse_args()


if __name__ == "__main__":
    main()
