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

from scripts.judgments.judge_outputs import read_strict_verdict, read_verdict
from scripts.scores.answer_order import games_in_order
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.score_file import judging_cost, one_by_one, pairwise_parser, write_score
from scripts.scores.two_games import count_questions, win_rate, with_verdicts
from scripts.tables.files import read_table


def main():
    for pair in one_by_one(parse_args()):
        score(pair)


def score(pair: Namespace) -> None:
    """Write the score of one pair."""
    read = read_strict_verdict if pair.strict_verdicts else read_verdict
    judgments = with_verdicts(read_table(pair.judgments), read)
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


def parse_args():
    parser = pairwise_parser(__doc__)
    parser.add_argument("--strict-verdicts", action="store_true", help="read verdicts as Arena-Hard v0.1 does")
    return parser.parse_args()


if __name__ == "__main__":
    main()
