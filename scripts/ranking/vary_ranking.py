r"""Which teacher has the highest CAR with other betas, other reward models, or their sigmoid.

python -m scripts.ranking.vary_ranking --teachers results/miniature/tables/teachers.csv \
    --output results/miniature/tables/sensitivity.csv

sensitivity.csv: base, reward_model, transform, and for each interval of beta from beta_from to beta_to the first
teacher. The intervals are exact: r / (1 + beta L) of two teachers is equal for at most one beta, because r_i (1 + beta
L_j) - r_j (1 + beta L_i) is linear in beta. beta_to is inf in the last interval. This shows how much the choice of a
setting matters; only fine-tuning shows which setting predicts best (car.csv).
"""

import argparse
from math import inf
from pathlib import Path

import numpy as np
import polars as pl

from scripts.tables.files import read_csv, write_table
from scripts.tables.identity import with_sources

SCHEMA = {"base": pl.String, "reward_model": pl.String, "transform": pl.String}
SCHEMA |= {"beta_from": pl.Float64, "beta_to": pl.Float64, "first": pl.String}


def main():
    args = parse_args()
    ranked = read_csv(args.teachers).filter(pl.col("rank").is_not_null()).sort("base", "rank", "teacher")
    rows = [row for _, of_base in ranked.group_by("base", maintain_order=True) for row in vary(of_base)]
    write_table(with_sources(pl.DataFrame(rows, schema=SCHEMA), args.teachers), args.output)


def vary(teachers: pl.DataFrame) -> list[dict]:
    """A row per reward model, transform and interval of beta, for the compared teachers of one base, best rank first.

    Of teachers with equal CARs over a whole interval the one with the better rank is first.
    """
    rows = []
    loss = teachers["loss"].to_numpy()
    for name in (name for name in teachers.columns if name.startswith(("reward:", "sigmoid:"))):
        kind, _, reward_model = name.partition(":")
        setting = {"reward_model": reward_model, "transform": "none" if kind == "reward" else kind}
        firsts = first_by_beta(teachers[name].to_numpy(), loss)
        ends = [beta for beta, _ in firsts[1:]] + [inf]
        for (beta, i), end in zip(firsts, ends, strict=True):
            interval = {"beta_from": beta, "beta_to": end, "first": teachers["teacher"][i]}
            rows.append({"base": teachers["base"][0], **setting, **interval})
    return rows


def first_by_beta(r: np.ndarray, loss: np.ndarray) -> list[tuple[float, int]]:
    """The betas from which another teacher has the highest CAR, and its index. r, loss: (teachers,), loss positive.

    Where several have the highest CAR, the one that is ahead after that beta comes next: it has the smallest r L.
    """
    top = np.flatnonzero(r == r.max())
    found = [(0.0, int(top[(r * loss)[top].argmin()]))]
    while True:
        first = found[-1][1]
        change = r * loss[first] - r[first] * loss
        later = np.flatnonzero(change > 1e-12 * np.abs(r).max() * loss.max())
        if not len(later):
            return found
        betas = (r[first] - r[later]) / change[later]
        next_ = later[betas <= betas.min() * (1 + 1e-9)]
        found.append((float(betas.min()), int(next_[(r * loss)[next_].argmin()])))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base, setting and interval")
    return parser.parse_args()


if __name__ == "__main__":
    main()
