r"""Win rate and length-controlled win rate of one pair, from a judge's tokens (AlpacaEval 2).

python -m scripts.scores.score_alpaca_eval --benchmark alpaca_eval --base alpha --teacher terse-large --baseline gpt-4 \
    --judge gpt-4-1106 --judgments results/mine/judgments/alpaca_eval/alpha/terse-large.parquet \
    --length-control results/mine/length_control/alpaca_eval/{difficulty,gamed}.parquet \
    --output results/mine/scores/alpaca_eval/alpha/terse-large.json

wr: 100 times the mean preference. lc: the win rate at equal lengths, computed as on the leaderboard with the difficulty
of each instruction and the gamed rows of the baseline. A benchmark without these gets `length_only` instead. That is
another quantity: on the leaderboard's data it differs from lc by up to 28 points.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl

from scripts.judgments.pairwise_verdicts import preference
from scripts.scores.intervals import mean_in_percent
from scripts.scores.length_controlled import STRENGTHS, fit, win_rate
from scripts.scores.score_file import judging_cost, score_parser, write_score
from scripts.scores.untrained import NO_SCORE, untrained
from scripts.tables.files import read_table

RESAMPLES, SEED = 200, 0
MAX_UNPARSED = 0.02  # share of prompts without a readable preference
MIN_PROMPTS = 10


def main():
    args = parse_args()
    judgments = read_table(args.judgments)
    rows = judgments.with_columns(
        y=pl.Series([preference_in(row) for row in judgments.iter_rows(named=True)], dtype=pl.Float64)
    )
    rows, gamed = difficulties(rows, args.length_control)
    unparsed = rows.filter(pl.col("y").is_null())
    no_model = untrained(judgments)
    if unparsed.height > MAX_UNPARSED * rows.height and not no_model:
        reasons = unparsed["reason"].fill_null("neither m nor M").value_counts(sort=True).rows()
        causes = ", ".join(f"{reason} ({n})" for reason, n in reasons)
        raise SystemExit(
            f"{args.judgments}: judgments without a preference: {unparsed.height} of {rows.height}, "
            f"more than {MAX_UNPARSED:.0%}: {causes}; use another judge or judge_template"
        )
    if rows.height - unparsed.height < MIN_PROMPTS and not no_model:
        raise SystemExit(
            f"{args.judgments}: too few judged prompts to control for length: {rows.height - unparsed.height}; "
            f"at least {MIN_PROMPTS} are needed"
        )
    score = {
        "n": rows.height - unparsed.height,
        "n_unparsed": unparsed.height,
        **judging_cost(judgments),
        "wr": mean_in_percent(rows["y"].drop_nulls().to_numpy()),
        "lc" if gamed is not None else "length_only": NO_SCORE if no_model else length_controlled(rows, gamed),
    }
    write_score(args, judgments, score)


def preference_in(row: dict) -> float | None:
    """The preference of one judgment: 1 for the model's answer, 0 for the baseline's; None if nothing can be read."""
    if row["decided"]:
        return {"identical": 0.5, "empty": 0.0}.get(row["decided"])
    return preference(json.loads(row["logprobs"]), row["switched"]) if row["logprobs"] else None


def difficulties(rows: pl.DataFrame, files: list[Path]) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The rows with the difficulty of their instruction, joined by id, and the gamed rows.

    Without files every difficulty is 0 and there are no gamed rows. Exits if an instruction has no difficulty.
    """
    if not files:
        return rows.with_columns(difficulty=pl.lit(0.0)), None
    difficulty, gamed = map(read_table, files)
    rows = rows.join(difficulty, on="id", how="left", validate="1:1", maintain_order="left")
    if missing := rows.filter(pl.col("difficulty").is_null())["id"].to_list():
        raise SystemExit(
            f"{files[0]}: instructions without a difficulty: {len(missing)}, first {', '.join(missing[:3])}"
        )
    return rows, gamed


def length_controlled(rows: pl.DataFrame, gamed: pl.DataFrame | None) -> dict:
    """The score at equal lengths, the weights of the fit, and a bootstrap interval over instructions.

    Each resample is fitted at the same penalty. Without gamed rows the penalty is almost 0, because a larger one would
    pull every score towards 50.
    """
    weights, strength = fit(rows, gamed, STRENGTHS[-1] if gamed is None else None)
    value, published_se = win_rate(rows, weights)
    rng = np.random.default_rng(SEED)
    drawn = [rows[rng.integers(rows.height, size=rows.height)] for _ in range(RESAMPLES)]
    values = [win_rate(sample, fit(sample, gamed, strength)[0])[0] for sample in drawn]
    return {
        "value": value,
        "se": float(np.std(values, ddof=1)),
        "ci": np.quantile(values, [0.025, 0.975]).tolist(),
        "se_of_leaderboard": published_se,
        "weights": dict(zip(("length", "difficulty", "model"), weights.tolist(), strict=True)),
        "strength": strength,
    }


def parse_args():
    parser = score_parser(__doc__)
    parser.add_argument(
        "--length-control", type=Path, nargs=2, default=[], help="parquets of difficulties and gamed rows"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
