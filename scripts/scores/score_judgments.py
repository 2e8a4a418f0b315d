r"""Scores with confidence intervals, from the judgments of one pair on one benchmark.

python -m scripts.scores.score_judgments --benchmark held_out --base alpha --teacher terse-large \
    --baseline plain-small --judge exact \
    --judgments results/miniature/judgments/held_out/alpha/terse-large.parquet \
    --output results/miniature/scores/held_out/alpha/terse-large.json

wr: win rate against the baseline, 100 times the mean preference. accuracy: percentage of right answers, if there are
reference answers. Intervals are 95 % percentile bootstraps over prompts.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.scores.intervals import mean_in_percent
from scripts.scores.untrained import untrained
from scripts.tables.files import read_table, write_json


def main():
    args = parse_args()
    judgments = read_table(args.judgments)
    judged = judgments.filter(pl.col("reason").is_null())
    if judged.height < 2 and not untrained(judgments):
        raise SystemExit(
            f"{args.judgments}: judged prompts: {judged.height} of {judgments.height}; a score needs at least 2: "
            "see `reason` in this file"
        )
    score = {
        "benchmark": args.benchmark,
        "base": args.base,
        "teacher": args.teacher,
        "baseline": args.baseline,
        "judge": args.judge,
        "n": judged.height,
        "n_set_aside": judgments.height - judged.height,
        "wr": mean_in_percent(judged["preference"].to_numpy()),
    }
    if untrained(judgments):
        score["reason"] = "not_trained"
    if "correct" in judged.columns:  # also of answers that could not be compared with a baseline answer
        score["accuracy"] = mean_in_percent(judgments["correct"].drop_nulls().cast(pl.Float64).to_numpy())
    write_json(score, args.output)
    print(json.dumps(score))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument(
        "--baseline", required=True, help="name of the baseline: the teacher or table whose answers it is"
    )
    parser.add_argument("--judge", required=True, help="exact, or the judge's name in the config")
    parser.add_argument("--judgments", type=Path, required=True, help="parquet of judgments")
    parser.add_argument("--output", type=Path, required=True, help="JSON of the score")
    return parser.parse_args()


if __name__ == "__main__":
    main()
