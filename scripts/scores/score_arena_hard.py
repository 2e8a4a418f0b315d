r"""Win rate of one pair, from a judge's verdicts in two games per question (Arena-Hard v0.1).

python -m scripts.scores.score_arena_hard \
    --benchmark arena_hard --base alpha --teacher terse-large --baseline gpt-4-0314 \
    --judge gpt-4-1106 --judgments results/mine/judgments/arena_hard/alpha/terse-large.parquet \
    --output results/mine/scores/arena_hard/alpha/terse-large.json

wr: the win rate of an unpenalized Bradley-Terry model with a fixed baseline. With one baseline this is the weighted
share of wins plus half of the ties. The interval resamples questions, with both of their games.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from scripts.judgments.pairwise_verdicts import WEIGHTS, games, verdict
from scripts.scores.untrained import NO_SCORE, untrained
from scripts.tables.files import read_table, write_json

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
        "benchmark": args.benchmark,
        "base": args.base,
        "teacher": args.teacher,
        "baseline": args.baseline,
        "judge": args.judge,
        "n": len(counts),
        "n_unparsed": unparsed,
        "truncation_rate": judgments["answer_cut"].mean(),
        "n_tokens": judgments["n_tokens"].sum(),
        "n_prompt_tokens": judgments["n_prompt_tokens"].sum(),
        "usd": judgments["usd"].sum()
        if judgments["usd"].count()
        else None,  # None: the judge has no price in the config
        "wr": NO_SCORE if no_model else win_rate(counts),
    }
    if no_model:
        score["reason"] = "not_trained"
    write_json(score, args.output)
    print(json.dumps(score))


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument(
        "--baseline", required=True, help="name of the baseline: the teacher or table whose answers it is"
    )
    parser.add_argument("--judge", required=True, help="name of the judge in the config")
    parser.add_argument("--judgments", type=Path, required=True, help="parquet of judgments")
    parser.add_argument("--output", type=Path, required=True, help="JSON of the score")
    return parser.parse_args()


if __name__ == "__main__":
    main()
