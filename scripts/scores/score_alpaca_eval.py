r"""Win rate and length-controlled win rate of one pair, from a judge's tokens (AlpacaEval 2).

python -m scripts.scores.score_alpaca_eval --benchmark alpaca_eval --pairs alpha/terse-large --baseline gpt-4 \
    --judge gpt-4-1106 --judgments results/mine/judgments/alpaca_eval/alpha/terse-large.parquet \
    --length-control results/mine/length_control/alpaca_eval/{difficulty,gamed}.parquet \
    --outputs results/mine/scores/alpaca_eval/alpha/terse-large.json

wr: 100 times the mean preference. lc: the win rate at equal lengths, computed as on the leaderboard with the difficulty
of each instruction and the gamed rows of the baseline. A benchmark without these gets `length_only` instead. That is
another quantity: on the leaderboard's data it differs from lc by up to 28 points. A prompt without a preference does
not count; the intervals cover that all of these were lost, or won.
"""

from argparse import Namespace
from pathlib import Path

import numpy as np
import polars as pl

from scripts.judgments.judge_outputs import read_names
from scripts.judgments.pairwise_verdicts import added, named_mass, preference
from scripts.scores.answer_order import first_preferred
from scripts.scores.intervals import mean_in_percent
from scripts.scores.length_controlled import STRENGTHS, fit, win_rate
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.score_file import judging_cost, one_by_one, pairwise_parser, write_score
from scripts.tables.files import read_table

RESAMPLES, SEED = 200, 0
MIN_PROMPTS = 10  # to control for length


def main():
    for pair in one_by_one(parse_args()):
        score(pair)


def score(pair: Namespace) -> None:
    """Write the score of one pair."""
    judgments = read_table(pair.judgments)
    rows = judgments.with_columns(
        y=pl.Series([preference_in(row) for row in judgments.iter_rows(named=True)], dtype=pl.Float64)
    )
    rows, gamed = difficulties(rows, pair.length_control)
    y = rows["y"].drop_nulls().to_numpy()
    reasons = unparsed_reasons(rows, rows["y"], "neither m nor M")
    no_score = too_few(rows, reasons, len(y), pair.max_unparsed, at_least=MIN_PROMPTS)
    fields = {
        "n": len(y),
        "n_unparsed": rows.height - len(y),
        "unparsed": reasons,
        **judging_cost(judgments),
        "mass_on_names": mean_mass(judgments),
        **first_preferred(preference_for_first(rows)),
        "wr": NO_SCORE if no_score else mean_in_percent(y, rows.height - len(y)),
        "lc" if gamed is not None else "length_only": NO_SCORE if no_score else length_controlled(rows, gamed),
    }
    write_score(pair, fields, no_score)


def preference_in(row: dict) -> float | None:
    """The preference of one judgment: 1 for the model's answer, 0 for the baseline's; None if nothing can be read."""
    if row["decided"]:
        return {"identical": 0.5, "empty": 0.0}.get(row["decided"])
    logprobs = read_names(row)
    return preference(logprobs, row["switched"]) if logprobs else None


def mean_mass(judgments: pl.DataFrame) -> float | None:
    """The mean probability that the judge's first token names an answer; None if the judge was never asked."""
    masses = [named_mass(added(logprobs)) for logprobs in judgments["logprobs"].drop_nulls()]
    return float(np.mean(masses)) if masses else None


def preference_for_first(rows: pl.DataFrame) -> np.ndarray:
    """The judge's preference for the answer that it saw first, of the prompts about which it was asked."""
    first = pl.when("switched").then("y").otherwise(1 - pl.col("y"))
    return rows.filter(pl.col("decided").is_null()).select(first.alias("first"))["first"].drop_nulls().to_numpy()


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
    pull every score towards 50. The interval covers that all rows without y were lost, or won.
    """
    weights, strength = fit(rows, gamed, STRENGTHS[-1] if gamed is None else None)
    value, published_se = win_rate(rows, weights)
    rng = np.random.default_rng(SEED)
    drawn = [rows[rng.integers(rows.height, size=rows.height)] for _ in range(RESAMPLES)]

    def values(unknown: float | None) -> list[float]:
        length = pl.col("len_baseline").fill_null(pl.col("len_model"))  # of a baseline answer that is missing
        fill = [] if unknown is None else [pl.col("y").fill_null(unknown), length]
        samples = [sample.with_columns(fill) for sample in drawn]
        return [win_rate(sample, fit(sample, gamed, strength)[0])[0] for sample in samples]

    without = values(None)
    lost, won = (values(0.0), values(1.0)) if rows["y"].null_count() else (without, without)
    return {
        "value": value,
        "se": float(np.std(without, ddof=1)),
        "ci": [float(np.quantile(lost, 0.025)), float(np.quantile(won, 0.975))],
        "se_of_leaderboard": published_se,
        "weights": dict(zip(("length", "difficulty", "model"), weights.tolist(), strict=True)),
        "strength": strength,
    }


def parse_args():
    parser = pairwise_parser(__doc__)
    parser.add_argument(
        "--length-control", type=Path, nargs=2, default=[], help="parquets of difficulties and gamed rows"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
