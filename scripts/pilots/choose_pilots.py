r"""The teachers that have pilots for a base: the first ones by CAR.

python -m scripts.pilots.choose_pilots --base alpha --n 4 --teachers results/mine/tables/teachers.csv \
    --output results/mine/pilots/alpha/teachers.json
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.tables.files import read_csv
from scripts.tables.text_files import write_json


def main():
    args = parse_args()
    ranked = read_csv(args.teachers).filter(pl.col("base") == args.base).drop_nulls("rank").sort("rank", "teacher")
    names = sorted(ranked["teacher"].head(args.n).to_list())
    write_json({"base": args.base, "teachers": names}, args.output)
    print(f"{args.base}: pilots with {', '.join(names)}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--n", type=int, required=True, help="number of teachers")
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the rank of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="JSON with the names")
    return parser.parse_args()


if __name__ == "__main__":
    main()
