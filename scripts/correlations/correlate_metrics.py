r"""How well the order of teachers by each metric agrees with their average performance (as the paper's Table 4).

python -m scripts.correlations.correlate_metrics --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/correlations.csv

rho: Spearman's rho over the compared teachers of one base, signed by the metric's declared direction, so that positive
means that the metric points to the better teachers; its interval is a percentile bootstrap over teachers and
is about the rho with measured AP. raw_rho: without the sign of the direction. tau_b: Kendall's tau-b. top1_regret:
points of AP lost by taking the metric's first choice, not the best teacher; top3_regret: by taking the best of its
first three. partial_rho: rho given the response length. ceiling: the rho that the true AP would have with the measured
one, from the standard errors of AP; no metric is expected to have more. The row `average` is the mean over bases of the
values within a base.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.correlations.correlation import SCHEMA, correlate
from scripts.correlations.pairs import read_pairs, with_transfer
from scripts.tables.files import write_table
from scripts.tables.identity import with_sources


def main():
    args = parse_args()
    pairs, metrics = with_transfer(read_pairs(args.teachers, args.performance))
    table = pl.DataFrame(correlate(pairs, metrics), schema=SCHEMA)
    write_table(with_sources(table, args.teachers, args.performance), args.output)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and metric")
    return parser.parse_args()


if __name__ == "__main__":
    main()
