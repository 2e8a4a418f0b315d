r"""The mean metrics of every teacher for every base, and the ranking of teachers by CAR.

python -m scripts.ranking.rank_teachers --car '{"reward_model": "right-answer", "beta": 1.0, "transform": "none"}' \
    --teachers '{"terse-large": {"family": "terse", "compare": true}, ...}' --families '{"alpha": null}' \
    --compare paired --max-set-aside 0.2 \
    --metrics results/miniature/metrics/*/*.parquet --responses results/miniature/responses/*.parquet \
    --output results/miniature/tables/teachers.csv

Means are over the instructions for which every compared teacher has every metric, so that all teachers are compared on
the same questions; n is their number. With `--compare unpaired` each teacher has its own instructions, and its means
are over those for which it has every metric. A teacher with `compare: false` has no rank; its means are over those of
these instructions for which it has every metric. sigmoid:<reward model> is the mean of sigmoid(reward), which is r of
CAR if `car.transform` is sigmoid; cut is the share of responses that ended at max_new_tokens. If a teacher thinks,
there are also thinking_tokens, their mean, and cut_in_thinking, the share of rows that ended inside the thinking. With
--gradients there are g_norm, g_vendi and grace, of n_gradients sampled instructions that all compared teachers have,
and with --lalp lalp, of n_lalp.
Exits if the losses or rewards of two teachers are by different models.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.metrics.car import car, preferred
from scripts.metrics.definitions import MAX_CUT, METRICS, data_set_values, further_columns, named_columns
from scripts.ranking.common_instructions import KEYS, by_base, refuse_gaps, rows_that_count
from scripts.ranking.relative_metrics import aslec_casl, lark, reward_minus_ppl
from scripts.ranking.sampled_metrics import of_base, scores_of_gradients, scores_of_steps
from scripts.ranking.thinking_shares import thinking_shares, with_thinking_shares
from scripts.tables.files import read_table, write_table
from scripts.tables.identity import common_identity


def main():
    args = parse_args()
    compared = [name for name, teacher in args.teachers.items() if teacher["compare"]]
    families = {name: teacher["family"] for name, teacher in args.teachers.items()}
    tables, shares = [], thinking_shares(args.responses)
    for base, paths in by_base(args.metrics).items():
        keys = pl.concat([read_table(path, columns=KEYS) for path in paths])
        common_identity(paths)
        refuse_gaps(keys, compared, args.max_set_aside)
        counting = rows_that_count(keys, compared, args.compare)
        means = pl.concat(
            [means_of(read_table(path), counting) for path in paths]
        )  # one file at a time: they may be large
        means = with_relative_metrics(means, paths, counting, compared, args.compare)
        if gradients := of_base(args.gradients, base):
            means = joined(means, scores_of_gradients(gradients, counting, compared))
        if steps := of_base(args.lalp, base):
            means = joined(means, scores_of_steps(steps, counting, compared))
        table = with_thinking_shares(rank(means, compared, families, **args.car), shares)
        tables.append(table.with_columns(baselines(args.teachers, compared, args.families[base])))
    write_table(pl.concat(tables, how="diagonal"), args.output)


def means_of(rows: pl.DataFrame, counting: pl.DataFrame) -> pl.DataFrame:
    """The data set's values of each teacher in rows of one base, over its usable rows among those that count."""
    rewards = {name.partition(":")[2]: pl.col(name) for name in named_columns(rows) if name.startswith("reward:")}
    chances = [preferred(reward).mean().alias(f"sigmoid:{name}") for name, reward in rewards.items()]
    return (
        rows.filter(pl.col("reason").is_null())
        .join(counting, on=counting.columns, how="semi")
        .sort("teacher", "id")  # a fixed order: the last digit of a sum depends on it
        .group_by("base", "teacher", maintain_order=True)
        .agg(pl.len().alias("n"), *data_set_values([*METRICS, *named_columns(rows), "cut"]), *chances)
    )


def with_relative_metrics(
    means: pl.DataFrame, paths: list[Path], counting: pl.DataFrame, compared: list[str], compare: str
) -> pl.DataFrame:
    """The teachers of one base, with the metrics that depend on the others; LARK needs the same instructions."""
    rewards = [name for name in named_columns(means) if name.startswith("reward:")]
    found = [aslec_casl(paths, counting, compared)]
    if compare == "paired":
        found.append(lark(paths, counting, compared))
    for values in found:
        means = joined(means, values)
    return means.with_columns(reward_minus_ppl(reward, compared) for reward in rewards)


def joined(means: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """The teachers of one base with further values of each."""
    return means.join(values, on="teacher", how="left", validate="1:1", maintain_order="left")


def rank(
    means: pl.DataFrame, compared: list[str], families: dict, reward_model: str, beta: float, transform: str
) -> pl.DataFrame:
    """The teachers of one base, best CAR first; teachers that are not compared come last, without a rank."""
    reward = pl.col(f"{'reward' if transform == 'none' else transform}:{reward_model}")
    ranked = pl.when(pl.col("teacher").is_in(compared)).then(pl.col("car"))
    return (
        means.with_columns(car(reward, pl.col("loss"), beta).alias("car"))
        .with_columns(
            ranked.rank("min", descending=True).alias("rank"),
            pl.col("teacher").replace_strict(families, return_dtype=pl.String).alias("family"),
            joined_notes(
                pl.when(reward < 0).then(pl.lit("negative reward: a larger loss raises CAR")),
                pl.when(pl.col("cut") > MAX_CUT).then(pl.lit("many responses are cut: raise max_new_tokens")),
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
            *further_columns(means),
            pl.col("^n_(gradients|lalp)$"),
            pl.col("^sigmoid:.*$"),
            "cut",
            "note",
        )
    )


def joined_notes(*notes: pl.Expr) -> pl.Expr:
    """The column `note` with all notes that are not null; null if there are none."""
    text = pl.concat_str(notes, separator="; ", ignore_nulls=True)
    return pl.when(text != "").then(text).alias("note")


def baselines(teachers: dict, compared: list[str], family: str | None) -> list[pl.Expr]:
    """Columns from the config alone, without any metric.

    parameters and published_score, each if every compared teacher has it; same_family, if the base's family is set.
    """
    columns = []
    for key in ("parameters", "published_score"):
        values = {name: float(teacher[key]) for name, teacher in teachers.items() if teacher[key] is not None}
        if values.keys() >= set(compared):
            value = pl.col("teacher").replace_strict(values, default=None, return_dtype=pl.Float64)
            columns.append(value.alias(key))
    return columns + ([(pl.col("family") == family).cast(pl.Float64).alias("same_family")] if family else [])


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--car", type=json.loads, required=True, help="section car as JSON")
    parser.add_argument(
        "--teachers",
        type=json.loads,
        required=True,
        help="teacher to family, compare, parameters and published_score, as JSON",
    )
    parser.add_argument("--families", type=json.loads, required=True, help="base to family, as JSON")
    parser.add_argument("--compare", choices=["paired", "unpaired"], default="paired", help="`compare` of the config")
    parser.add_argument(
        "--max-set-aside", type=float, required=True, help="largest share of instructions without a usable row"
    )
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--responses", type=Path, nargs="*", default=[], help="parquet, one per teacher")
    parser.add_argument(
        "--gradients", type=Path, nargs="*", default=[], help="parquet per base and teacher, if they are computed"
    )
    parser.add_argument(
        "--lalp", type=Path, nargs="*", default=[], help="parquet of steps per base and teacher, if they are computed"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
