"""Mean metrics of every teacher for every base, and the ranking of teachers by CAR.

python -m scripts.ranking.rank_teachers --car '{"reward_model": "right-answer", "beta": 1.0, "transform": "none"}' \
    --teachers '{"terse-large": {"family": "terse", "compare": true}, ...}' --families '{"alpha": null}' \
    --max-set-aside 0.2 \
    --metrics results/miniature/metrics/*/*.parquet --output results/miniature/tables/teachers.csv

Means are over the instructions for which every compared teacher has every metric, so that teachers are compared on the
same questions; n says how many. A teacher with `compare: false` has its values, over the same instructions as far as
it has them, but no rank. sigmoid:<reward model> is the mean of sigmoid(reward), which is r of CAR with that transform;
cut is the share of responses that ended at their longest length.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.metrics.car import car, preferred
from scripts.metrics.definitions import METRICS, MOST_CUT, named_columns, of_rows
from scripts.ranking.common_instructions import KEYS, by_base, common_ids
from scripts.tables.files import read_table, write_table


def main():
    args = parse_args()
    compared = [name for name, teacher in args.teachers.items() if teacher["compare"]]
    families = {name: teacher["family"] for name, teacher in args.teachers.items()}
    tables = []
    for base, paths in by_base(args.metrics).items():
        keys = pl.concat([read_table(path, columns=KEYS) for path in paths])
        refuse_gaps(keys, compared, args.max_set_aside)
        common = common_ids(keys, compared)
        means = pl.concat([means_of(read_table(path), common) for path in paths])  # a file at a time: they may be large
        table = rank(means, compared, families, **args.car)
        tables.append(table.with_columns(baselines(args.teachers, compared, args.families[base])))
    write_table(pl.concat(tables, how="diagonal"), args.output)


def means_of(rows: pl.DataFrame, common: pl.DataFrame) -> pl.DataFrame:
    """The data set values of each teacher in rows of one base, over its usable ones among the common ids."""
    rewards = {name.partition(":")[2]: pl.col(name) for name in named_columns(rows) if name.startswith("reward:")}
    chances = [preferred(reward).mean().alias(f"sigmoid:{name}") for name, reward in rewards.items()]
    return (
        rows.filter(pl.col("reason").is_null())
        .join(common, on="id", how="semi")
        .sort("teacher", "id")  # in one order: sums in another differ in the last digit
        .group_by("base", "teacher", maintain_order=True)
        .agg(pl.len().alias("n"), *of_rows([*METRICS, *named_columns(rows), "cut"]), *chances)
    )


def rank(
    means: pl.DataFrame, compared: list[str], families: dict, reward_model: str, beta: float, transform: str
) -> pl.DataFrame:
    """The teachers of one base, best CAR first; those not compared come last, without a rank."""
    reward = pl.col(f"{'reward' if transform == 'none' else transform}:{reward_model}")
    ranked = pl.when(pl.col("teacher").is_in(compared)).then(pl.col("car"))
    return (
        means.with_columns(car(reward, pl.col("loss"), beta).alias("car"))
        .with_columns(
            ranked.rank("min", descending=True).alias("rank"),
            pl.col("teacher").replace_strict(families, return_dtype=pl.String).alias("family"),
            note(
                pl.when(reward < 0).then(pl.lit("negative reward: a larger loss raises CAR")),
                pl.when(pl.col("cut") > MOST_CUT).then(pl.lit("many responses are cut: raise max_new_tokens")),
            ),
        )
        .sort("rank", "teacher", nulls_last=True)
        .select(
            "base",
            "rank",
            "teacher",
            "family",
            "n",
            "car",
            *named_columns(means),
            *METRICS,
            pl.col("^sigmoid:.*$"),
            "cut",
            "note",
        )
    )


def note(*causes: pl.Expr) -> pl.Expr:
    """All that there is to be told of a teacher; none where there is nothing."""
    told = pl.concat_str(causes, separator="; ", ignore_nulls=True)
    return pl.when(told != "").then(told).alias("note")


def baselines(teachers: dict, compared: list[str], family: str | None) -> list[pl.Expr]:
    """Columns of what is known without any metric: size and published score, if known of every compared teacher; and
    whether a teacher is of the base's family, if that is known."""
    columns = []
    for key in ("parameters", "published_score"):
        known = {name: float(teacher[key]) for name, teacher in teachers.items() if teacher[key] is not None}
        if known.keys() >= set(compared):
            value = pl.col("teacher").replace_strict(known, default=None, return_dtype=pl.Float64)
            columns.append(value.alias(key))
    return columns + ([(pl.col("family") == family).cast(pl.Float64).alias("same_family")] if family else [])


def refuse_gaps(rows: pl.DataFrame, compared: list[str], limit: float) -> None:
    """Exit naming the compared teachers of a base that lack more than `limit` of the instructions."""
    n = rows["id"].n_unique()
    present = dict(rows.filter(pl.col("reason").is_null()).group_by("teacher").len().iter_rows())
    gaps = {teacher: n - present.get(teacher, 0) for teacher in compared}
    if bad := [f"{teacher} {gap / n:.0%}" for teacher, gap in gaps.items() if gap > limit * n]:
        raise SystemExit(
            f"{rows['base'][0]}: more than {limit:.0%} of {n} instructions have no usable row from {', '.join(bad)}: "
            "see `reason` in responses, rewards, likelihoods; set `compare: false` on a teacher or raise max_set_aside"
        )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--car", type=json.loads, required=True, help="section car as JSON")
    parser.add_argument("--teachers", type=json.loads, required=True, help="what the config tells of them, as JSON")
    parser.add_argument("--families", type=json.loads, required=True, help="base to its family as JSON")
    parser.add_argument("--max-set-aside", type=float, required=True, help="share of rows that a teacher may lack")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
