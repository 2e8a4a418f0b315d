"""Whether one metric predicts average performance (AP) better than another: every pair of metrics, for every base.

python -m scripts.correlations.compare_metrics --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/differences.csv

difference is rho of metric_a minus rho of metric_b, both signed as in correlations.csv, with a paired bootstrap
interval over teachers. p is that of a permutation test which swaps both metrics' ranks within teachers. With fewer than
ten teachers neither can tell metrics apart: p is left out, and the note says so. The row `average` tests the mean over
bases.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.correlation import describe, drawn_rhos
from scripts.correlations.pairs import read_pairs, signed, stacked, with_transfer
from scripts.metrics.rank_statistics import ENOUGH_TEACHERS, interval, permutation_p, rho
from scripts.tables.files import write_table

SCHEMA = {"base": pl.String, "metric_a": pl.String, "metric_b": pl.String, "n": pl.Int64}
SCHEMA |= dict.fromkeys(("difference", "low", "high", "p"), pl.Float64) | {"note": pl.String}


def main():
    args = parse_args()
    pairs, metrics = with_transfer(read_pairs(args.teachers, args.performance))
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    write_table(pl.DataFrame(compare(bases, metrics), schema=SCHEMA), args.output)


def compare(bases: list[pl.DataFrame], metrics: list[str]) -> list[dict]:
    """A row per pair of metrics and base that has a rho of both, and one for the mean over bases if all of them do.

    Every frame has the same teachers.
    """
    has = {name: [describe(of_base, name)["rho"] is not None for of_base in bases] for name in metrics}
    usable = [name for name in metrics if any(has[name])]
    values = {name: signed(bases, name) for name in usable}
    drawn = dict(zip(usable, drawn_rhos(bases, usable), strict=True))
    rows = []
    for a, b in combinations(usable, 2):
        x, y, spread = values[a], values[b], drawn[a] - drawn[b]
        both = [i for i in range(len(bases)) if has[a][i] and has[b][i]]
        places = [(bases[i]["base"][0], [i]) for i in both]
        for base, at in [*places, *([("average", both)] if len(both) == len(bases) else [])]:
            row = difference(x[at], y[at], stacked(bases, "ap")[at], spread[:, at])
            rows.append({"base": base, "metric_a": a, "metric_b": b, **row})
    return rows


def difference(x: np.ndarray, y: np.ndarray, ap: np.ndarray, spread: np.ndarray) -> dict:
    """How much better x predicts ap than y does: arrays (bases, teachers), and resamples of it (resamples, bases)."""
    n = ap.shape[-1]
    low, high = interval(spread.mean(-1))
    row = {"n": n, "difference": float(np.mean(rho(x, ap) - rho(y, ap))), "low": low, "high": high}
    if n < ENOUGH_TEACHERS:
        return row | {"note": f"too few teachers ({n}): no difference can be shown"}
    return row | {"p": permutation_p(x, y, ap)}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and pair of metrics")
    return parser.parse_args()


if __name__ == "__main__":
    main()
