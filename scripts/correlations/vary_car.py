r"""How well CAR predicts average performance (AP) with other betas, reward models and zero points of the reward.

python -m scripts.correlations.vary_car --beta 1.0 --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/car.csv

CAR = (r + origin) / (1 + beta L). The zero point of a reward model is arbitrary, but CAR depends on it: origin is added
to every reward, in steps of the standard deviation of the teachers' mean rewards. With the transform sigmoid, r is the
mean of sigmoid(reward). n_negative: teachers whose r + origin is negative; for them a larger loss raises CAR.

beta_chosen_on: in rows with `other bases`, beta has the best mean rho over all bases except this one; this estimates
the value of a beta that was tuned on other bases. In rows with `these bases`, beta has the best mean rho over all
bases, this one included, which is too optimistic. Of equal betas the smallest is taken. Empty in all other rows.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.pairs import read_pairs, stacked
from scripts.metrics.car import BETAS, car
from scripts.metrics.rank_statistics import MIN_TEACHERS, bootstrap, interval, rho
from scripts.tables.files import write_table
from scripts.tables.identity import with_sources

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
    write_table(with_sources(pl.DataFrame(table, schema=SCHEMA), args.teachers, args.performance), args.output)


def vary(bases: list[pl.DataFrame], column: str, beta: float) -> list[dict]:
    """The rows of one column of mean rewards: CAR over beta, over the origin at one beta, and at chosen betas."""
    kind, _, reward_model = column.partition(":")
    model = {"reward_model": reward_model, "transform": "none" if kind == "reward" else kind}
    reward, loss = stacked(bases, column), stacked(bases, "loss")
    settings = [(b, 0.0) for b in sorted({*BETAS, beta})]
    n_betas = len(settings)
    if kind == "reward":  # a shift before the sigmoid cannot be computed from the mean of sigmoids
        settings += [(beta, float(k * np.std(reward, axis=1, ddof=1).mean())) for k in ORIGINS]
    values = np.stack([car(reward + origin, loss, b) for b, origin in settings])
    rhos = rho(values, stacked(bases, "ap"))
    resampled = bootstrap(values, stacked(bases, "ap"))
    rows = []
    for i, (b, origin) in enumerate(settings):
        rows += rows_of_setting(bases, model | {"origin": origin}, [b] * len(bases), reward, rhos[i], resampled[i])
    for chosen_on, chosen in chosen_betas(rhos[:n_betas]).items():
        each = np.arange(len(bases))
        betas = [settings[i][0] for i in chosen]
        setting = model | {"origin": 0.0, "beta_chosen_on": chosen_on}
        rows += rows_of_setting(bases, setting, betas, reward, rhos[chosen, each], resampled[chosen, :, each].T)
    return rows


def chosen_betas(rhos: np.ndarray) -> dict[str, list[int]]:
    """For each base the index of the beta with the best mean rho, over the other bases and over all bases.

    rhos is (betas, bases). Empty if a rho is NaN; without `other bases` if there is only one base.
    """
    if np.isnan(rhos).any():
        return {}
    n = rhos.shape[1]
    chosen = {"these bases": [int(rhos.mean(1).argmax())] * n}
    if n > 1:
        chosen["other bases"] = [int(np.delete(rhos, j, axis=1).mean(1).argmax()) for j in range(n)]
    return chosen


def rows_of_setting(bases: list[pl.DataFrame], setting: dict, betas: list, reward, rhos, resampled) -> list[dict]:
    """A row per base and the row `average`, whose beta is None if the bases have different betas.

    betas and rhos have one value per base; reward is (bases, teachers), resampled is (resamples, bases).
    """
    n = bases[0].height
    note = None if n >= MIN_TEACHERS else f"too few teachers ({n}) to conclude anything"
    negative = (reward + setting["origin"] < 0).sum(1)
    cells = [*zip((b["base"][0] for b in bases), betas, negative.tolist(), rhos, resampled.T, strict=True)]
    cells.append(("average", betas[0] if len(set(betas)) == 1 else None, None, rhos.mean(), resampled.mean(-1)))
    rows = []
    for base, beta, n_negative, value, values in cells:
        row = setting | {"beta": beta, "base": base, "n": n, "n_negative": n_negative, "note": note}
        if np.isnan(value):
            rows.append(row | {"note": "n/a: CAR or AP is the same for every teacher"})
            continue
        low, high = interval(values)
        rows.append(row | {"rho": float(value), "low": low, "high": high})
    return rows


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beta", type=float, required=True, help="`car.beta` of the config")
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per setting and base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
