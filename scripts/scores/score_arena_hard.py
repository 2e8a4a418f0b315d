r"""Win rate of one pair, from a judge's verdicts in two games per question (Arena-Hard v0.1).

python -m scripts.scores.score_arena_hard \
    --benchmark arena_hard --pairs alpha/terse-large --baseline gpt-4-0314 \
    --judge gpt-4-1106 --judgments results/mine/judgments/arena_hard/alpha/terse-large.parquet \
    --outputs results/mine/scores/arena_hard/alpha/terse-large.json

wr: the win rate of an unpenalized Bradley-Terry model with a fixed baseline. With one baseline this is the weighted
share of wins plus half of the ties. The interval resamples questions, with both of their games. A game without a
verdict does not count; the interval covers that all such games were lost, or won, at the mean weight of a game.
"""

from argparse import Namespace
from collections.abc import Callable

import numpy as np
import polars as pl

from scripts.judgments.judge_outputs import read_strict_verdict, read_verdict
from scripts.judgments.pairwise_verdicts import WEIGHTS, games
from scripts.scores.answer_order import games_in_order
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.score_file import judging_cost, one_by_one, pairwise_parser, write_score
from scripts.tables.files import read_table

RESAMPLES, SEED = 2000, 0
DECIDED = {"identical": "A=B", "empty": {1: "A>>B", 2: "B>>A"}}  # an empty answer loses clearly in both games


def main():
    for pair in one_by_one(parse_args()):
        score(pair)


def score(pair: Namespace) -> None:
    """Write the score of one pair."""
    judgments = read_table(pair.judgments)
    read = read_strict_verdict if pair.strict_verdicts else read_verdict
    verdicts = [verdict_of(row, read) for row in judgments.iter_rows(named=True)]
    judgments = judgments.with_columns(pl.Series("verdict", verdicts, pl.String))
    reasons = unparsed_reasons(judgments, judgments["verdict"], "no verdict")
    counts, n_unparsed = count_questions(judgments)
    no_score = too_few(judgments, reasons, int((n_unparsed < 2).sum()), pair.max_unparsed)
    fields = {
        "n": len(counts),
        "n_unparsed": int(n_unparsed.sum()),
        "unparsed": reasons,
        **judging_cost(judgments),
        **games_in_order(judgments),
        "wr": NO_SCORE if no_score else win_rate(counts, n_unparsed),
    }
    write_score(pair, fields, no_score)


def verdict_of(row: dict, read: Callable[[dict], str | None]) -> str | None:
    """The verdict of one game, one of the five; None if nothing can be read."""
    if row["decided"] == "empty":
        return DECIDED["empty"][row["game"]]
    found = DECIDED.get(row["decided"]) if row["decided"] else read(row)
    return found if found in WEIGHTS else None


def count_questions(judgments: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Weighted wins, ties and losses of the model, shape (questions, 3), and games without a verdict, (questions,)."""
    both = judgments.pivot("game", index="id", values="verdict", maintain_order=True)
    counts = np.array([games(row["1"], row["2"]) for row in both.iter_rows(named=True)])
    return counts, both.select(pl.sum_horizontal(pl.col("1", "2").is_null())).to_series().to_numpy()


def win_rate(counts: np.ndarray, n_unparsed: np.ndarray) -> dict:
    """Percentage of wins (a tie counts half), with its standard error and 95 % interval over questions.

    counts, n_unparsed: see count_questions.
    """
    drawn = np.random.default_rng(SEED).integers(len(counts), size=(RESAMPLES, len(counts)))
    weight = counts.sum() / (2 * len(counts) - n_unparsed.sum())
    unknown = np.outer(n_unparsed * weight, [1, 0, 0])
    return {
        "value": float(share(counts.sum(0))),
        "se": float(np.nanstd(share(counts[drawn].sum(1)), ddof=1)),
        "ci": [
            float(np.quantile(share((counts + unknown[:, ::-1])[drawn].sum(1)), 0.025)),
            float(np.quantile(share((counts + unknown)[drawn].sum(1)), 0.975)),
        ],
    }


def share(counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # NaN for a sample in which no game has a verdict
        return 100 * (counts[..., 0] + counts[..., 1] / 2) / counts.sum(-1)


def parse_args():
    parser = pairwise_parser(__doc__)
    parser.add_argument("--strict-verdicts", action="store_true", help="read verdicts as Arena-Hard v0.1 does")
    return parser.parse_args()


if __name__ == "__main__":
    main()
