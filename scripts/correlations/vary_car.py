"""How well CAR predicts average performance (AP) with other betas, other reward models and other zeros of a reward.

python -m scripts.correlations.vary_car --beta 1.0 --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/car.csv

CAR = (r + origin) / (1 + beta L). A reward model leaves its zero free, but CAR depends on it: origin is added to every
reward, in steps of the standard deviation of the teachers' mean rewards. With the transform sigmoid, r is the mean of
sigmoid(reward). n_negative: teachers whose r + origin is below zero, for which a larger loss raises CAR.

beta_chosen_on: `other bases` stands at the beta with the best mean rho over all bases but this one, an honest guess of
what a beta that was tuned elsewhere is worth here; `these bases` at the best one on the very bases it is scored on,
which is too good. Of equal ones the smallest beta counts. Other rows have a beta that nobody chose.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.pairs import read_pairs, stacked
from scripts.metrics.car import BETAS, car
from scripts.metrics.rank_statistics import ENOUGH_TEACHERS, bootstrap, interval, rho
from scripts.tables.files import write_table

ORIGINS = [-4, -2, -1, 1, 2, 4, 10, 100]  # in standard deviations of the teachers' mean rewards
SCHEMA = {"reward_model": pl.String, "transform": pl.String, "beta": pl.Float64, "origin": pl.Float64}
SCHEMA |= {"beta_chosen_on": pl.String, "base": pl.String, "n": pl.Int64, "n_negative": pl.Int64}
SCHEMA |= dict.fromkeys(("rho", "low", "high"), pl.Float64) | {"note": pl.String}


def main():
    args = parse_args()
    pairs = read_pairs(args.teachers, args.performance)
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    names = [name for name in pairs.columns if name.startswith(("reward:", "sigmoid:")) and bases]
    table = [row for name in names for row in vary(bases, name, args.beta)]
    write_table(pl.DataFrame(table, schema=SCHEMA), args.output)


def vary(bases: list[pl.DataFrame], column: str, beta: float) -> list[dict]:
    """The rows of one column of mean rewards: CAR over beta, over the origin at one beta, and at chosen betas."""
    kind, _, reward_model = column.partition(":")
    of = {"reward_model": reward_model, "transform": "none" if kind == "reward" else kind}
    reward, loss = stacked(bases, column), stacked(bases, "loss")
    settings = [(b, 0.0) for b in sorted({*BETAS, beta})]
    n_betas = len(settings)
    if kind == "reward":  # what a shift does before a sigmoid, the mean of sigmoids does not tell
        settings += [(beta, float(k * np.std(reward, axis=1, ddof=1).mean())) for k in ORIGINS]
    values = np.stack([car(reward + origin, loss, b) for b, origin in settings])
    rhos, drawn = rho(values, stacked(bases, "ap")), bootstrap(values, stacked(bases, "ap"), stacked(bases, "ap_se"))
    rows = []
    for i, (b, origin) in enumerate(settings):
        rows += describe(bases, of | {"origin": origin}, [b] * len(bases), reward, rhos[i], drawn[i])
    for where, picked in chosen_betas(rhos[:n_betas]).items():
        each = np.arange(len(bases))
        betas = [settings[i][0] for i in picked]
        setting = of | {"origin": 0.0, "beta_chosen_on": where}
        rows += describe(bases, setting, betas, reward, rhos[picked, each], drawn[picked, :, each].T)
    return rows


def chosen_betas(rhos: np.ndarray) -> dict[str, list[int]]:
    """For each base the number of the beta with the best mean rho, over the other bases and over all of them.

    rhos is (betas, bases). Nothing where a rho is NaN; no other bases where there is one alone.
    """
    if np.isnan(rhos).any():
        return {}
    n = rhos.shape[1]
    chosen = {"these bases": [int(rhos.mean(1).argmax())] * n}
    if n > 1:
        chosen["other bases"] = [int(np.delete(rhos, j, axis=1).mean(1).argmax()) for j in range(n)]
    return chosen


def describe(bases: list[pl.DataFrame], setting: dict, betas: list, reward, rhos, drawn) -> list[dict]:
    """A row per base and their average; beta of the average is none where the bases differ in it."""
    n = bases[0].height
    note = None if n >= ENOUGH_TEACHERS else f"too few teachers ({n}) to conclude anything"
    negative = (reward + setting["origin"] < 0).sum(1)
    cells = [*zip((b["base"][0] for b in bases), betas, negative.tolist(), rhos, drawn.T, strict=True)]
    cells.append(("average", betas[0] if len(set(betas)) == 1 else None, None, rhos.mean(), drawn.mean(-1)))
    rows = []
    for base, beta, n_negative, value, resampled in cells:
        row = setting | {"beta": beta, "base": base, "n": n, "n_negative": n_negative, "note": note}
        if np.isnan(value):
            rows.append(row | {"note": "n/a: CAR or AP is the same for every teacher"})
            continue
        low, high = interval(resampled)
        rows.append(row | {"rho": float(value), "low": low, "high": high})
    return rows


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beta", type=float, required=True, help="beta of the config")
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per setting and base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
