r"""Test whether one metric predicts average performance (AP) better than another: each pair of metrics, each base.

python -m scripts.correlations.compare_metrics --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/differences.csv

difference: rho of metric_a minus rho of metric_b, both signed as in correlations.csv, with a paired bootstrap interval
over teachers. p: p-value of a permutation test that swaps the ranks of both metrics within teachers. With fewer than
ten teachers neither can show a difference: p is left out, and the note says why. The row `average` tests the mean over
bases.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.correlations.metric_differences import SCHEMA, compare
from scripts.correlations.pairs import read_pairs, with_transfer
from scripts.tables.files import write_table
from scripts.tables.identity import with_sources


def main():
    args = parse_args()
    pairs, metrics = with_transfer(read_pairs(args.teachers, args.performance))
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    table = pl.DataFrame(compare(bases, metrics), schema=SCHEMA)
    write_table(with_sources(table, args.teachers, args.performance), args.output)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and pair of metrics")
    return parser.parse_args()


if __name__ == "__main__":
    main()
