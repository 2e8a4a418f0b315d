r"""Win rate of one pair, from a judge's verdicts in two games per question (Arena-Hard v0.1).

python -m scripts.scores.score_arena_hard \
    --benchmark arena_hard --base alpha --teacher terse-large --baseline gpt-4-0314 \
    --judge gpt-4-1106 --judgments results/mine/judgments/arena_hard/alpha/terse-large.parquet \
    --output results/mine/scores/arena_hard/alpha/terse-large.json

wr: the win rate of an unpenalized Bradley-Terry model with a fixed baseline. With one baseline this is the weighted
share of wins plus half of the ties. The interval resamples questions, with both of their games.
"""

import numpy as np
import polars as pl

from scripts.judgments.pairwise_verdicts import WEIGHTS, games, verdict
from scripts.scores.score_file import judging_cost, score_parser, write_score
from scripts.scores.untrained import NO_SCORE, untrained
from scripts.tables.files import read_table

RESAMPLES, SEED = 2000, 0
MAX_UNPARSED = 0.02  # share of games without a verdict
DECIDED = {"identical": "A=B", "empty": {1: "A>>B", 2: "B>>A"}}  # an empty answer loses clearly in both games


def main():
    args = parse_args()
    judgments = read_table(args.judgments)
    verdicts = [read_verdict(row) for row in judgments.iter_rows(named=True)]
    unparsed = sum(found not in WEIGHTS for found in verdicts)
    no_model = untrained(judgments)
    if unparsed > MAX_UNPARSED * len(verdicts) and not no_model:
        raise SystemExit(
            f"{args.judgments}: games without a verdict: {unparsed} of {len(verdicts)}, more than {MAX_UNPARSED:.0%}; "
            "use another judge or judge_template"
        )
    counts = count_questions(judgments.with_columns(pl.Series("verdict", verdicts, pl.String)))
    score = {
        "n": len(counts),
        "n_unparsed": unparsed,
        **judging_cost(judgments),
        "wr": NO_SCORE if no_model else win_rate(counts),
    }
    write_score(args, judgments, score)


def read_verdict(row: dict) -> str | None:
    """The verdict of one game; None if nothing can be read."""
    if row["decided"] == "empty":
        return DECIDED["empty"][row["game"]]
    return DECIDED.get(row["decided"]) if row["decided"] else verdict(row["text"] or "")


def count_questions(judgments: pl.DataFrame) -> np.ndarray:
    """Weighted wins, ties and losses of the model, shape (questions, 3)."""
    both = judgments.pivot("game", index="id", values="verdict", maintain_order=True)
    return np.array([games(row["1"], row["2"]) for row in both.iter_rows(named=True)])


def win_rate(counts: np.ndarray) -> dict:
    """Percentage of wins (a tie counts half), with its standard error and 95 % interval over questions."""
    rng = np.random.default_rng(SEED)
    drawn = counts[rng.integers(len(counts), size=(RESAMPLES, len(counts)))].sum(1)
    values = share(drawn)
    return {
        "value": float(share(counts.sum(0))),
        "se": float(values.std(ddof=1)),
        "ci": np.quantile(values, [0.025, 0.975]).tolist(),
    }


def share(counts: np.ndarray) -> np.ndarray:
    return 100 * (counts[..., 0] + counts[..., 1] / 2) / counts.sum(-1)


def parse_args():
    return score_parser(__doc__).parse_args()


if __name__ == "__main__":
    main()
