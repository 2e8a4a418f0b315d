r"""A language model grades each answer of pairs alone, from 1 to 10, as in MT-Bench (protocol `grade`).

python -m scripts.judgments.judge_grades \
    --judge '{"engine": "openai", "model": "gpt-5"}' --template config/judges/grade.txt --api '{"budget_usd": 10}' \
    --prompts results/mine/prompts/mt_bench.parquet \
    --pairs base/teacher-a base/teacher-b --answers results/mine/answers/mt_bench/base/teacher-{a,b}.parquet \
    --store results/mine/rows/judgments/mt_bench \
    --outputs results/mine/judgments/mt_bench/base/teacher-{a,b}.parquet

A later turn is graded with the conversation before it. A judge that gives no grade is asked once to finish. An empty
answer has the lowest grade without asking the judge. The raw output of the judge is stored; score_grade reads it. A
failed request is not stored: the next run repeats it. If none of the first outputs can be read, the judge is not asked
further.
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from scripts.configuration.config_engines import is_batched
from scripts.engines.generation import key_of_rows, loader
from scripts.jobs.aligned import aligned
from scripts.judgments.graded_answers import GRADING, join_outputs, list_answers, undecided
from scripts.judgments.judge_arguments import language_judge_parser
from scripts.judgments.judge_requests import GREEDY, asking, outputs_of, run_pairs
from scripts.judgments.judge_templates import SINGLE, fill_template, read_template
from scripts.tables.digests import digest, sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.row_store import RowsFailed

VERSION = 1  # of the table; the rows have that of the module that computes them
NAME = "grade"


def main():
    args = parse_args()
    template = read_template(args.template, SINGLE)
    judge = {**args.judge, "sampling": GREEDY | args.sampling | GRADING[NAME].sampling}
    load = loader(judge, args.api)
    prompts = read_table(args.prompts)
    note_unshown(prompts, template)
    identity = {"judge": digest([key_of_rows(judge), template]), "prompts": sha256(args.prompts)}

    def judge_pair(pair: str, answers: Path, output: Path) -> str | None:
        """Write the judgments of a pair; or why there are none, since the other pairs are judged all the same."""
        ask = asking(judge, args.store / pair, load)
        try:
            judgments = judge_one(list_answers(prompts, read_table(answers)), template, ask, is_batched(judge))
        except RowsFailed as error:
            return f"{pair}: {error}"
        write_table(judgments, output, identity)
        tokens_read, written, usd = judgments.select(pl.col("n_prompt_tokens", "n_tokens", "usd").sum()).row(0)
        print(f"{pair}: answers: {judgments.height}; tokens read: {tokens_read}, written: {written}; ${usd:.2f}")

    run_pairs(judge_pair, list(aligned(args, "pairs", "answers", "outputs")), is_batched(judge))


def judge_one(answers: pl.DataFrame, template: list[dict], ask: Callable, at_once: bool) -> pl.DataFrame:
    """The judgments of one pair's answers; at_once: without trying the first ones."""
    requests = [request(answer, template) for answer in undecided(answers).iter_rows(named=True)]
    judgments = join_outputs(answers, outputs_of(requests, GRADING[NAME], NAME, ask, at_once))
    check_rows(judgments, answers["id"].to_list(), value="judged")
    return judgments.drop("judged")


def request(answer: dict, template: list[dict]) -> dict:
    """The judge's messages for one answer; a row of the row store, so that its content is the cache key."""
    texts = {"instruction": answer["instruction"], "output": answer["answer"], "reference": answer["reference"]}
    return {"id": answer["id"], "turn": answer["turn"], "messages": fill_template(template, **texts)}


def note_unshown(prompts: pl.DataFrame, template: list[dict]) -> None:
    """Print that the judge does not see the right answers, if there are some."""
    n = prompts["reference"].count() if "reference" in prompts.columns else 0
    if n and not any("{reference}" in message["content"] for message in template):
        print(f"reference answers that the judge does not see: {n}: the template has no {{reference}}", flush=True)


def parse_args():
    return language_judge_parser(__doc__).parse_args()


if __name__ == "__main__":
    main()
