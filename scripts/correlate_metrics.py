"""How well each metric orders the teachers as their average performance does (the form of the paper's Table 4).

python scripts/correlate_metrics.py --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --output results/miniature/tables/correlations.csv

rho is Spearman's, over the compared teachers of one base, signed by the metric's declared direction: positive means
that what the metric calls better is better. raw_rho has the sign as computed. Its interval is a percentile bootstrap
over teachers in which AP varies by its own standard error. top1_regret: points of AP that the metric's first choice
loses against the best teacher; top3_regret: the best of its first three. partial_rho: given the response length. The
row `average` is the mean over bases of the within-base values.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from metrics import BASELINES, METRICS, better, named_columns
from rank_statistics import ENOUGH_TEACHERS, bootstrap, interval, partial_rho, regret, rho
from tables import read_csv, write_table

MEANS = ("rho", "raw_rho", "tau_b", "top1_regret", "top3_regret", "partial_rho")
SCHEMA = {"base": pl.String, "metric": pl.String, "better": pl.String, "n": pl.Int64, "rho": pl.Float64}
SCHEMA |= dict.fromkeys(("low", "high", *MEANS[1:]), pl.Float64) | {"note": pl.String}


def main():
    args = parse_args()
    pairs, metrics = with_transfer(read_pairs(args.teachers, args.performance))
    write_table(pl.DataFrame(correlate(pairs, metrics), schema=SCHEMA), args.output)


def read_pairs(teachers: Path, performance: Path) -> pl.DataFrame:
    return complete(join_pairs(read_csv(teachers), read_csv(performance)))


def join_pairs(teachers: pl.DataFrame, performance: pl.DataFrame) -> pl.DataFrame:
    """A row per base and compared teacher, in their order: its metrics, ap and ap_se, the standard error of AP."""
    ranked = teachers.filter(pl.col("rank").is_not_null())
    performance = performance.select("base", "teacher", "ap", ap_se=ap_error(performance))
    pairs = ranked.join(performance, on=["base", "teacher"], validate="1:1")
    if pairs.height != ranked.height:
        raise SystemExit(f"{ranked.height} ranked pairs, but {pairs.height} of them have a score")
    return pairs.sort("base", "teacher")


def complete(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs without bases that have no AP, and without teachers that lack an AP with one of the others.

    So all bases have the same teachers, and a student that could not be trained is a gap for every base.
    """
    pairs = pairs.filter(pl.col("ap").is_not_null().any().over("base"))
    return pairs.filter(pl.col("ap").is_not_null().all().over("teacher"))


def ap_error(performance: pl.DataFrame) -> pl.Expr:
    """The standard error of AP, a mean of scores `benchmark.score`, from theirs; 0 where the scores have none.

    Scores of one benchmark are made from the same judgments: their errors add up. Those of several are independent.
    """
    errors = [name for name in performance.columns if name.endswith(".se")]
    if not errors:
        return pl.lit(0.0)
    of_benchmark: dict[str, list[str]] = {}
    for name in errors:
        of_benchmark.setdefault(name.removesuffix(".se").rpartition(".")[0], []).append(name)
    squares = [pl.sum_horizontal(names) ** 2 for names in of_benchmark.values()]
    return (pl.sum_horizontal(squares).sqrt() / len(errors)).fill_null(0.0)


def with_transfer(pairs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The pairs, with a teacher's mean AP over the other bases where there are any; and the metrics they have."""
    metrics = ["car", *named_columns(pairs), *METRICS, *(name for name in BASELINES if name in pairs.columns)]
    if pairs["base"].n_unique() < 2:
        return pairs, metrics
    others = (pl.col("ap").sum().over("teacher") - pl.col("ap")) / (pl.len().over("teacher") - 1)
    return pairs.with_columns(transfer=others), [*metrics, "transfer"]


def correlate(pairs: pl.DataFrame, metrics: list[str]) -> list[dict]:
    """For each metric a row per base and the row `average`, the mean over bases; the cause where there is no value.

    `pairs` has the same teachers in the same order for every base.
    """
    bases = [frame for _, frame in pairs.group_by("base", maintain_order=True)]
    if not bases:
        return []
    rows = {metric: [describe(of_base, metric) for of_base in bases] for metric in metrics}
    usable = [metric for metric in metrics if any(row["rho"] is not None for row in rows[metric])]
    averages = {metric: mean_of(rows[metric]) for metric in metrics}
    for metric, values in zip(usable, drawn_rhos(bases, usable), strict=True):
        for row, of_base in zip([*rows[metric], averages[metric]], [*values.T, values.mean(-1)], strict=True):
            if row["rho"] is not None:
                row["low"], row["high"] = interval(of_base)
    return [row for metric in metrics for row in (*rows[metric], averages[metric])]


def drawn_rhos(bases: list[pl.DataFrame], metrics: list[str]) -> np.ndarray:
    """The bootstrap's rho of each metric, (metrics, resamples, bases); NaN where a base does not have the metric."""
    if not metrics:
        return np.empty((0, 0, 0))
    values = np.stack([signed(bases, metric) for metric in metrics])
    return bootstrap(values, stacked(bases, "ap"), stacked(bases, "ap_se"))


def mean_of(rows: list[dict]) -> dict:
    """The mean over bases of a metric's values; none where a base has none."""
    notes = [row["note"] for row in sorted(rows, key=lambda row: row["rho"] is not None) if row["note"]]
    values = {name: [row.get(name) for row in rows] for name in MEANS}
    means = {name: None if None in of_name else float(np.mean(of_name)) for name, of_name in values.items()}
    return {**rows[0], "base": "average", "note": notes[0] if notes else None, **means}


def describe(pairs: pl.DataFrame, metric: str) -> dict:
    """What one metric is worth for the teachers of one base, as point estimates."""
    n = pairs.height
    row = {"base": pairs["base"][0], "metric": metric, "better": better(metric), "n": n, "rho": None, "note": None}
    for name in (metric, "ap"):
        values = pairs[name].cast(float)
        if values.null_count() or not values.is_finite().all():
            return row | {"note": f"n/a: {name} is missing for a teacher"}
        if values.n_unique() < 2:
            return row | {"note": f"n/a: {name} is the same for every teacher"}
    ap, raw = column(pairs, "ap"), column(pairs, metric)
    signed = raw if row["better"] == "higher" else -raw
    partial = np.nan  # where lengths are not known
    if "response_length" in pairs.columns:
        partial = partial_rho(signed, ap, column(pairs, "response_length"))
    return row | {
        "rho": float(rho(signed, ap)),
        "raw_rho": float(rho(raw, ap)),
        "tau_b": float(stats.kendalltau(signed, ap).statistic),
        "top1_regret": regret(signed, ap, 1),
        "top3_regret": regret(signed, ap, 3),
        "partial_rho": None if np.isnan(partial) else partial,
        "note": None if n >= ENOUGH_TEACHERS else f"too few teachers ({n}) to conclude anything",
    }


def column(pairs: pl.DataFrame, name: str) -> np.ndarray:
    return pairs[name].cast(pl.Float64).to_numpy()


def stacked(bases: list[pl.DataFrame], name: str) -> np.ndarray:
    return np.stack([column(of_base, name) for of_base in bases])


def signed(bases: list[pl.DataFrame], metric: str) -> np.ndarray:
    """A metric's values (bases, teachers), larger being better."""
    return stacked(bases, metric) if better(metric) == "higher" else -stacked(bases, metric)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and metric")
    return parser.parse_args()


if __name__ == "__main__":
    main()
