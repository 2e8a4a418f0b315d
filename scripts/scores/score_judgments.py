r"""Scores with confidence intervals, from the judgments of one pair on one benchmark.

python -m scripts.scores.score_judgments --benchmark held_out --pairs alpha/terse-large \
    --baseline plain-small --judge exact \
    --judgments results/miniature/judgments/held_out/alpha/terse-large.parquet \
    --outputs results/miniature/scores/held_out/alpha/terse-large.json

wr: win rate against the baseline, 100 times the mean preference. accuracy: percentage of right answers, if there are
reference answers. Intervals are 95 % percentile bootstraps over prompts.
"""

from argparse import Namespace

import polars as pl

from scripts.scores.intervals import mean_in_percent
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.score_file import one_by_one, score_parser, write_score
from scripts.tables.files import read_table


def main():
    for pair in one_by_one(parse_args()):
        score(pair)


def score(pair: Namespace) -> None:
    """Write the score of one pair."""
    judgments = read_table(pair.judgments)
    judged = judgments.filter(pl.col("reason").is_null())
    reasons = unparsed_reasons(judgments, judgments["preference"], "no preference")
    no_score = too_few(judgments, reasons, judged.height, max_unparsed=1)
    fields = {
        "n": judged.height,
        "n_set_aside": judgments.height - judged.height,
        "set_aside": reasons,
        "wr": NO_SCORE if no_score else mean_in_percent(judged["preference"].to_numpy()),
    }
    if "correct" in judged.columns:  # also of answers that could not be compared with a baseline answer
        fields["accuracy"] = mean_in_percent(judgments["correct"].drop_nulls().cast(pl.Float64).to_numpy())
    write_score(pair, fields, no_score)


def parse_args():
    return score_parser(__doc__).parse_args()


if __name__ == "__main__":
    main()
