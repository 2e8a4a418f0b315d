r"""Which teacher is first by each score, and how far two scores agree on the order of the teachers.

python -m scripts.ranking.compare_scores --teachers results/miniature/tables/teachers.csv \
    --output results/miniature/tables/scores.csv

A score is a metric with a declared direction: CAR, rewards, losses and all others of scripts/metrics/definitions.py. A
row per base and score: first (the compared teacher with the best value; several if they are equal), n (compared
teachers), and note, if it orders no teachers. A column tau:<score> is Kendall's tau-b of the two orders: 1 the same
order, 0 no relation, -1 the opposite order. This compares predictions with each other, not with performance.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.metrics.definitions import better, scores_in
from scripts.ranking.car_parts import tau
from scripts.tables.files import read_csv, write_table
from scripts.tables.identity import with_sources

SCHEMA = {"base": pl.String, "score": pl.String, "better": pl.String, "n": pl.Int64, "first": pl.String}
SCHEMA |= {"note": pl.String}


def main():
    args = parse_args()
    ranked = read_csv(args.teachers).filter(pl.col("rank").is_not_null())
    scores = scores_in(ranked)
    rows = [row for _, of_base in ranked.group_by("base", maintain_order=True) for row in compare(of_base, scores)]
    table = pl.DataFrame(rows, schema=SCHEMA | {f"tau:{score}": pl.Float64 for score in scores})
    write_table(with_sources(table, args.teachers), args.output)


def compare(teachers: pl.DataFrame, scores: list[str]) -> list[dict]:
    """A row per score for the compared teachers of one base."""
    teachers = teachers.sort("teacher")
    signed = {score: oriented(teachers[score], better(score)) for score in scores}
    notes = {score: why_unordered(score, values) for score, values in signed.items()}
    rows = []
    for score, values in signed.items():
        row = {"base": teachers["base"][0], "score": score, "better": better(score), "n": teachers.height}
        row |= {"first": None, "note": notes[score]}
        if not notes[score]:
            row["first"] = ", ".join(teachers.filter(values == values.max())["teacher"])
            others = {other: of_other for other, of_other in signed.items() if not notes[other]}
            row |= {f"tau:{other}": tau(values.to_numpy(), of_other.to_numpy()) for other, of_other in others.items()}
        rows.append(row)
    return rows


def oriented(values: pl.Series, direction: str) -> pl.Series:
    """Values of which a larger one is better."""
    values = values.cast(pl.Float64)
    return values if direction == "higher" else -values


def why_unordered(score: str, values: pl.Series) -> str | None:
    """Why a score orders no teachers; None if it does."""
    if values.null_count() or not values.is_finite().all():
        return f"n/a: {score} is missing for a teacher"
    return f"n/a: {score} is the same for every teacher" if values.n_unique() < 2 else None


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and score")
    return parser.parse_args()


if __name__ == "__main__":
    main()
