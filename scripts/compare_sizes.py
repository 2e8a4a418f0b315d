"""Is the larger teacher of a family the better one? The paper's first finding, step by step.

python scripts/compare_sizes.py --teachers '{"terse-large": {"family": "terse", "parameters": 0.0004}, ...}' \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/size_steps.csv

A step leads from one size of a family to the next larger one. difference: average performance (AP) of a base
fine-tuned on the larger teacher, less that on the smaller one, with its standard error where the scores have one;
inverted: it is negative. Teachers without a family or a size, and pairs without an AP, take no part.
"""

import argparse
import json
from itertools import groupby, pairwise, product
from pathlib import Path

import polars as pl

from correlate_metrics import ap_error
from tables import read_csv, write_table

SCHEMA = {"base": pl.String, "family": pl.String, "smaller": pl.String, "larger": pl.String}
SCHEMA |= {"difference": pl.Float64, "se": pl.Float64, "inverted": pl.Boolean}


def main():
    args = parse_args()
    performance = read_csv(args.performance)
    performance = performance.select("base", "teacher", "ap", ap_se=ap_error(performance))
    steps = size_steps(performance, args.teachers)
    write_table(pl.DataFrame(steps, schema=SCHEMA), args.output)
    print(f"the larger teacher is the worse one in {sum(step['inverted'] for step in steps)} of {len(steps)} steps")


def size_steps(performance: pl.DataFrame, teachers: dict[str, dict]) -> list[dict]:
    """A row per base and step; `teachers` names the family and the parameters of each."""
    families: dict[str, list[str]] = {}
    for name, told in sorted(teachers.items(), key=lambda item: item[1]["parameters"] or 0):
        if told["family"] and told["parameters"]:
            families.setdefault(told["family"], []).append(name)
    steps = [(family, *step) for family, names in sorted(families.items()) for step in steps_of(names, teachers)]
    rows = []
    for (base,), of_base in performance.group_by("base", maintain_order=True):
        ap = {teacher: (value, se) for teacher, value, se in of_base.select("teacher", "ap", "ap_se").iter_rows()}
        for family, smaller, larger in steps:
            if ap[larger][0] is None or ap[smaller][0] is None:
                continue
            difference = ap[larger][0] - ap[smaller][0]
            step = {"base": base, "family": family, "smaller": smaller, "larger": larger, "difference": difference}
            se = (ap[larger][1] ** 2 + ap[smaller][1] ** 2) ** 0.5
            rows.append(step | {"se": se or None, "inverted": difference < 0})
    return rows


def steps_of(names: list[str], teachers: dict[str, dict]) -> list[tuple[str, str]]:
    """Each teacher with each of the next larger size; `names` come by size. Samplings of one model have one size."""
    sizes = [list(same) for _, same in groupby(names, key=lambda name: teachers[name]["parameters"])]
    return [step for smaller, larger in pairwise(sizes) for step in product(smaller, larger)]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=json.loads, required=True, help="teacher to family and parameters as JSON")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and step")
    return parser.parse_args()


if __name__ == "__main__":
    main()
