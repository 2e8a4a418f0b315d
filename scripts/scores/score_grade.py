r"""Mean grades of pairs, from a judge that gives each answer a grade from 1 to 10 (protocol `grade`).

python -m scripts.scores.score_grade --benchmark mt_bench --pairs alpha/terse-large --judge gpt-5 \
    --judgments results/mine/judgments/mt_bench/alpha/terse-large.parquet \
    --outputs results/mine/scores/mt_bench/alpha/terse-large.json

grade: 10 times the mean over prompts, so that AP is in points from 10 to 100. The grade of a prompt of several turns is
the mean over its turns; a prompt of which one turn has no grade does not count. turn_1, turn_2 ...: the same over the
answers to this turn. The intervals, over prompts, cover that everything without a grade has 1, or 10. An empty answer,
and a turn that was not asked because the model gave no answer to the turn before, has 1.
"""

from argparse import Namespace

import polars as pl

from scripts.judgments.grade_texts import HIGHEST, LOWEST
from scripts.scores.intervals import scaled_mean
from scripts.scores.no_score import NO_SCORE, too_few, unparsed_reasons
from scripts.scores.prompt_grades import SCALE, graded, prompt_grades
from scripts.scores.score_file import judging_cost, one_by_one, pairwise_parser, write_score
from scripts.tables.files import read_table


def main():
    for pair in one_by_one(pairwise_parser(__doc__).parse_args()):
        score(pair)


def score(pair: Namespace) -> None:
    """Write the score of one pair."""
    judgments = read_table(pair.judgments)
    reasons = unparsed_reasons(judgments, graded(judgments)["grade"], "no grade")
    prompts = prompt_grades(judgments)
    no_score = too_few(judgments, reasons, prompts["grade"].count(), pair.max_unparsed)
    answered = dict(judgments.group_by("turn").len().rows())
    n_of = {name: answered[int(name.removeprefix("turn_"))] for name in prompts.columns if name.startswith("turn_")}
    scores = {"grade": prompts.height} | n_of
    fields = {
        "n": prompts["grade"].count(),
        "n_unparsed": sum(reasons.values()),
        "unparsed": reasons,
        **judging_cost(judgments),
        "scale": SCALE,
        **{name: NO_SCORE if no_score else mean_grade(prompts[name], n) for name, n in scores.items()},
    }
    write_score(pair, fields, no_score)


def mean_grade(grades: pl.Series, n: int) -> dict:
    """value, se and ci of grades; n: how many there would be if all could be read."""
    known = grades.drop_nulls().to_numpy()
    return NO_SCORE if len(known) < 2 else scaled_mean(known, n - len(known), LOWEST, HIGHEST, SCALE)


if __name__ == "__main__":
    main()
