r"""Scores with confidence intervals, from the judgments of one pair on one benchmark.

python -m scripts.scores.score_judgments --benchmark held_out --base alpha --teacher terse-large \
    --baseline plain-small --judge exact \
    --judgments results/miniature/judgments/held_out/alpha/terse-large.parquet \
    --output results/miniature/scores/held_out/alpha/terse-large.json

wr: win rate against the baseline, 100 times the mean preference. accuracy: percentage of right answers, if there are
reference answers. Intervals are 95 % percentile bootstraps over prompts.
"""

import polars as pl

from scripts.scores.intervals import mean_in_percent
from scripts.scores.score_file import score_parser, write_score
from scripts.scores.untrained import untrained
from scripts.tables.files import read_table


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
        "n": judged.height,
        "n_set_aside": judgments.height - judged.height,
        "wr": mean_in_percent(judged["preference"].to_numpy()),
    }
    if "correct" in judged.columns:  # also of answers that could not be compared with a baseline answer
        score["accuracy"] = mean_in_percent(judgments["correct"].drop_nulls().cast(pl.Float64).to_numpy())
    write_score(args, judgments, score)


def parse_args():
    return score_parser(__doc__).parse_args()


if __name__ == "__main__":
    main()
