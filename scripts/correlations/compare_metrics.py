r"""Test whether one metric predicts average performance (AP) better than another: each pair of metrics, each base.

python -m scripts.correlations.compare_metrics --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/differences.csv

difference: rho of metric_a minus rho of metric_b, both signed as in correlations.csv, with a paired bootstrap interval
over teachers. p: p-value of a permutation test that swaps the ranks of both metrics within teachers. With fewer than
ten teachers neither can show a difference: p is left out, and the note says why. The row `average` tests the mean over
bases.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.correlation import point_estimates, resampled_rhos
from scripts.correlations.pairs import read_pairs, signed, stacked, with_transfer
from scripts.metrics.rank_statistics import MIN_TEACHERS, interval, permutation_p, rho
from scripts.tables.files import write_table
from scripts.tables.identity import with_sources

SCHEMA = {"base": pl.String, "metric_a": pl.String, "metric_b": pl.String, "n": pl.Int64}
SCHEMA |= dict.fromkeys(("difference", "low", "high", "p"), pl.Float64) | {"note": pl.String}


def main():
    args = parse_args()
    pairs, metrics = with_transfer(read_pairs(args.teachers, args.performance))
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    table = pl.DataFrame(compare(bases, metrics), schema=SCHEMA)
    write_table(with_sources(table, args.teachers, args.performance), args.output)


def compare(bases: list[pl.DataFrame], metrics: list[str]) -> list[dict]:
    """A row per pair of metrics and base that has a rho of both, and an average row if all bases have both.

    `bases` has one table per base, all with the same teachers.
    """
    has_rho = {name: [point_estimates(pairs, name)["rho"] is not None for pairs in bases] for name in metrics}
    usable = [name for name in metrics if any(has_rho[name])]
    values = {name: signed(bases, name) for name in usable}
    resampled = dict(zip(usable, resampled_rhos(bases, usable), strict=True))
    rows = []
    for a, b in combinations(usable, 2):
        x, y, differences = values[a], values[b], resampled[a] - resampled[b]
        with_both = [i for i in range(len(bases)) if has_rho[a][i] and has_rho[b][i]]
        groups = [(bases[i]["base"][0], [i]) for i in with_both]
        if len(with_both) == len(bases):
            groups.append(("average", with_both))
        for base, indices in groups:
            row = difference(x[indices], y[indices], stacked(bases, "ap")[indices], differences[:, indices])
            rows.append({"base": base, "metric_a": a, "metric_b": b, **row})
    return rows


def difference(x: np.ndarray, y: np.ndarray, ap: np.ndarray, resampled: np.ndarray) -> dict:
    """rho(x, ap) minus rho(y, ap), averaged over bases, with its interval and p-value.

    x, y and ap are (bases, teachers); `resampled` has the bootstrap's differences, (resamples, bases).
    """
    n = ap.shape[-1]
    low, high = interval(resampled.mean(-1))
    row = {"n": n, "difference": float(np.mean(rho(x, ap) - rho(y, ap))), "low": low, "high": high}
    if n < MIN_TEACHERS:
        return row | {"note": f"too few teachers ({n}) to show a difference"}
    return row | {"p": permutation_p(x, y, ap)}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and pair of metrics")
    return parser.parse_args()


if __name__ == "__main__":
    main()
