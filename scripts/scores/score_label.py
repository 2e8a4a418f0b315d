r"""Win rate of one pair, from a judge that names the better answer in each of two games (protocol `label`).

python -m scripts.scores.score_label --benchmark own --pairs alpha/terse-large --baseline gpt-4 --judge gpt-5 \
    --judgments results/mine/judgments/own/alpha/terse-large.parquet \
    --outputs results/mine/scores/own/alpha/terse-large.json

wr: 100 times the mean over prompts. A prompt counts 1 if the model wins both games, 0 if it loses both, and half if the
judge names another answer in the other order. A prompt without two names does not count; the interval, over prompts,
covers that all of these were lost, or won.
"""

from argparse import Namespace

import polars as pl

from scripts.judgments.judge_outputs import read_winner
from scripts.judgments.pairwise_verdicts import POINTS
from scripts.scores.answer_order import games_in_order
from scripts.scores.intervals import mean_in_percent
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.score_file import judging_cost, one_by_one, pairwise_parser, write_score
from scripts.tables.files import read_table


def main():
    for pair in one_by_one(pairwise_parser(__doc__).parse_args()):
        score(pair)


def score(pair: Namespace) -> None:
    """Write the score of one pair."""
    judgments = read_table(pair.judgments)
    named = [None if row["decided"] else read_winner(row) for row in judgments.iter_rows(named=True)]
    judgments = judgments.with_columns(pl.Series("verdict", named, pl.String))
    judgments = judgments.with_columns(points=points_of_model())
    reasons = unparsed_reasons(judgments, judgments["points"], "no answer named")
    questions = judgments.group_by("id", maintain_order=True).agg(
        pl.when(pl.col("points").is_not_null().all()).then(pl.col("points").mean())
    )["points"]
    no_score = too_few(judgments, reasons, questions.count(), pair.max_unparsed)
    fields = {
        "n": questions.count(),
        "n_unparsed": sum(reasons.values()),
        "unparsed": reasons,
        **judging_cost(judgments),
        **games_in_order(judgments),
        "wr": NO_SCORE if no_score else mean_in_percent(questions.drop_nulls().to_numpy(), questions.null_count()),
    }
    write_score(pair, fields, no_score)


def points_of_model() -> pl.Expr:
    """1 if the model wins the game, 0 if it loses, 0.5 for a tie; null if nothing was read."""
    first = pl.col("verdict").replace_strict(POINTS, return_dtype=pl.Float64)
    judged = pl.when(pl.col("switched")).then(first).otherwise(1 - first)
    return pl.coalesce(pl.col("decided").replace_strict({"identical": 0.5, "empty": 0.0}, default=None), judged)


if __name__ == "__main__":
    main()
