r"""Is the larger teacher of a family the better one? The paper's first finding, for each step between two sizes.

python -m scripts.correlations.compare_sizes \
    --teachers '{"terse-large": {"family": "terse", "parameters": 0.0004}, ...}' \
    --performance results/miniature/tables/performance.csv \
    --ap-differences results/miniature/tables/ap_differences.csv --output results/miniature/tables/size_steps.csv

A step is a size of a family and the next larger size. difference: average performance (AP) of a base fine-tuned on the
larger teacher minus AP on the smaller one, with its standard error from ap_differences.csv; inverted: the difference is
negative. Teachers without a family or a size, and pairs without an AP, are left out.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.correlations.pairs import read_differences
from scripts.correlations.size_steps import SCHEMA, size_steps
from scripts.tables.files import read_csv, write_table
from scripts.tables.identity import with_sources


def main():
    args = parse_args()
    performance = read_csv(args.performance).select("base", "teacher", "ap")
    steps = size_steps(performance, args.teachers, read_differences(args.ap_differences, "se"))
    table = pl.DataFrame(steps, schema=SCHEMA)
    write_table(with_sources(table, args.performance, args.ap_differences), args.output)
    print(f"steps in which the larger teacher gives the lower AP: {sum(s['inverted'] for s in steps)} of {len(steps)}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=json.loads, required=True, help="teacher to family and parameters as JSON")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--ap-differences", type=Path, required=True, help="CSV with the errors of AP's differences")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and step")
    return parser.parse_args()


if __name__ == "__main__":
    main()
