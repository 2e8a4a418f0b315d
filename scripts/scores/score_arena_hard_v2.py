r"""Win rates of pairs from a judge's verdicts in two games per question, also at equal style (Arena-Hard v2).

python -m scripts.scores.score_arena_hard_v2 \
    --benchmark arena_hard_v2 --pairs alpha/terse-large --baseline o3-mini --judge gpt-4.1 \
    --judgments results/mine/judgments/arena_hard_v2/alpha/terse-large.parquet \
    --answers results/mine/answers/arena_hard_v2/alpha/terse-large.parquet \
    --baseline-answers results/mine/baselines/arena_hard_v2.parquet \
    --outputs results/mine/scores/arena_hard_v2/alpha/terse-large.json

wr: the weighted share of wins plus half of the ties. A question of which one game has no verdict does not count.
style_controlled: the win rate at equal style (style_control.py), from one regression over all pairs of the benchmark.
Intervals are over questions, with both of their games, and cover that all questions that do not count were lost, or
won. ci_of_leaderboard is the interval of arena-hard-auto: 90 %, over verdicts as if they were independent.
"""

from argparse import Namespace
from pathlib import Path

import numpy as np
import polars as pl

from scripts.judgments.judge_outputs import read_last_label, read_verdict
from scripts.scores.answer_order import games_in_order
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.score_file import judging_cost, one_by_one, pairwise_parser, write_score
from scripts.scores.style_control import STYLES, differences, fit, normalized, style_of
from scripts.scores.two_games import count_questions, share, win_rate, with_verdicts
from scripts.tables.files import read_table

RESAMPLES, SEED = 200, 0  # of the regression


def main():
    args = parse_args()
    pairs = list(one_by_one(args))
    baseline = styles(read_table(args.baseline_answers).drop_nulls("answer"))
    scored, questions = [], []
    for number, (pair, answers) in enumerate(zip(pairs, args.answers, strict=True)):
        fields, no_score, counted = score(pair)
        scored.append((pair, fields, no_score))
        if not no_score:
            of_model = styles(read_table(answers)).join(baseline, on="id", how="inner", suffix="_baseline")
            questions.append(counted.join(of_model, on="id", how="inner").with_columns(pair=pl.lit(number)))
    controlled = style_controlled(pl.concat(questions)) if questions else {}
    for number, (pair, fields, no_score) in enumerate(scored):
        write_score(pair, fields | {"style_controlled": controlled.get(number, NO_SCORE)}, no_score)


def score(pair: Namespace) -> tuple[dict, str | None, pl.DataFrame]:
    """The fields of a pair's score, why it has none, and its questions: id, wins, losses and whether they count."""
    read = read_last_label if pair.strict_verdicts else read_verdict
    judgments = with_verdicts(read_table(pair.judgments), read)
    reasons = unparsed_reasons(judgments, judgments["verdict"], "no verdict")
    counts, n_unparsed = count_questions(judgments)
    counts[n_unparsed > 0] = 0
    no_score = too_few(judgments, reasons, int((n_unparsed == 0).sum()), pair.max_unparsed)
    fields = {
        "n": int((n_unparsed == 0).sum()),
        "n_unparsed": int(n_unparsed.sum()),
        "unparsed": reasons,
        **judging_cost(judgments),
        **games_in_order(judgments),
        "wr": NO_SCORE if no_score else win_rate_of(counts, n_unparsed),
    }
    questions = (
        judgments["id"]
        .unique(maintain_order=True)
        .to_frame()
        .with_columns(
            wins=counts[:, 0] + counts[:, 1] / 2, losses=counts[:, 2] + counts[:, 1] / 2, counts=n_unparsed == 0
        )
    )
    return fields, no_score, questions


def win_rate_of(counts: np.ndarray, n_unparsed: np.ndarray) -> dict:
    """The win rate over the questions with two verdicts, with both intervals."""
    verdicts = counts.sum(0)
    drawn = np.random.default_rng(SEED).multinomial(verdicts.sum(), verdicts / verdicts.sum(), size=5000)
    of_leaderboard = np.quantile(share(drawn), [0.05, 0.95]).tolist()
    return win_rate(counts, np.where(n_unparsed > 0, 2, 0)) | {"ci_of_leaderboard": of_leaderboard}


def styles(answers: pl.DataFrame) -> pl.DataFrame:
    """The id of each answer in a table, and its style."""
    style = [style_of(answer) for answer in answers["answer"]]
    return answers.select("id").with_columns(pl.Series("style", style, pl.Array(pl.Int64, len(STYLES))))


def style_controlled(questions: pl.DataFrame) -> dict[int, dict]:
    """The win rate at equal style of each pair, by the number of the pair, with an interval over questions.

    questions: those of all pairs, with pair, id, wins, losses, counts, style and style_baseline. Each of RESAMPLES
    samples draws questions with replacement, for all pairs the same ones.
    """
    numbers, model = np.unique(questions["pair"].to_numpy(), return_inverse=True)
    _, question = np.unique(questions["id"].to_numpy(), return_inverse=True)
    wins, losses, counts = (questions[name].to_numpy() for name in ("wins", "losses", "counts"))
    style = differences(*(questions[name].to_numpy().astype(float) for name in ("style", "style_baseline")))
    style = normalized(style, wins + losses)
    rng = np.random.default_rng(SEED)
    n = question.max() + 1
    drawn = [np.bincount(rng.integers(n, size=n), minlength=n)[question] for _ in range(RESAMPLES)]
    unknown = np.where(counts, 0.0, np.average(wins + losses, weights=counts))

    def values(won: float, lost: float) -> np.ndarray:
        return np.array(
            [fit(model, style, w * (wins + won * unknown), w * (losses + lost * unknown))[0] for w in drawn]
        )

    value, weights = fit(model, style, wins, losses)
    without = values(0, 0)
    low, high = (without, without) if counts.all() else (values(0, 1), values(1, 0))
    return {
        int(number): {
            "value": float(value[i]),
            "se": float(without[:, i].std(ddof=1)),
            "ci": [float(np.quantile(low[:, i], 0.025)), float(np.quantile(high[:, i], 0.975))],
            "weights": dict(zip(STYLES, weights.tolist(), strict=True)),
        }
        for i, number in enumerate(numbers)
    }


def parse_args():
    parser = pairwise_parser(__doc__)
    parser.add_argument("--strict-verdicts", action="store_true", help="read verdicts as arena-hard-auto does")
    parser.add_argument("--answers", type=Path, nargs="+", required=True, help="parquet of answers, one per pair")
    parser.add_argument("--baseline-answers", type=Path, required=True, help="parquet of the baseline's answers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
