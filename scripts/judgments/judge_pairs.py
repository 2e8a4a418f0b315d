r"""A language model compares pairs' answers with the baseline's, as in AlpacaEval 2 or Arena-Hard, or with one word.

python -m scripts.judgments.judge_pairs \
    --protocol alpaca_eval --judge '{"engine": "openai", "model": "gpt-4-1106-preview"}' \
    --template config/judges/alpaca_eval.txt --api '{"budget_usd": 10}' \
    --prompts results/mine/prompts/alpaca_eval.parquet --baseline results/mine/baselines/alpaca_eval.parquet \
    --pairs base/teacher-a base/teacher-b --answers results/mine/answers/alpaca_eval/base/teacher-{a,b}.parquet \
    --store results/mine/rows/judgments/alpaca_eval \
    --outputs results/mine/judgments/alpaca_eval/base/teacher-{a,b}.parquet

The raw output of the judge is stored; other scripts make the scores. alpaca_eval: one comparison, in an order drawn
for the instruction; the judge writes one token, whose log-probabilities count. arena_hard, arena_hard_v2: two games,
first with the baseline's answer first, then with the model's; a judge that gives no verdict is asked once to finish.
label: the same two games, and the judge writes one word. An empty answer loses and two identical answers tie, without
asking the judge. Without a baseline answer nothing is compared. A failed request is not stored: the next run repeats
it. If none of the first outputs can be read, the judge is not asked further.
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from scripts.configuration.config_engines import is_batched
from scripts.engines.generation import key_of_rows, loader
from scripts.jobs.aligned import aligned
from scripts.judgments.comparisons import PAIRWISE, STRICT, join_outputs, list_comparisons, undecided
from scripts.judgments.judge_arguments import language_judge_parser
from scripts.judgments.judge_requests import GREEDY, Judging, asking, outputs_of, run_pairs
from scripts.judgments.judge_templates import PAIR, fill_template, read_template
from scripts.tables.digests import digest, sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.row_store import RowsFailed

VERSION = 3  # of the table; the rows have that of the module that computes them


def main():
    args = parse_args()
    template, protocol = (
        read_template(args.template, PAIR),
        (STRICT if args.strict_verdicts else PAIRWISE)[args.protocol],
    )
    judge = {**args.judge, "sampling": GREEDY | args.sampling | protocol.sampling}
    load = loader(judge, args.api)
    prompts, baseline = read_table(args.prompts), read_table(args.baseline)
    identity = {"judge": digest([key_of_rows(judge), template])}
    identity |= {"prompts": sha256(args.prompts), "baseline": sha256(args.baseline)}

    def judge_pair(pair: str, answers: Path, output: Path) -> str | None:
        """Write the judgments of a pair; or why there are none, since the other pairs are judged all the same."""
        comparisons = list_comparisons(args.protocol, prompts, read_table(answers), baseline)
        ask = asking(judge, args.store / pair, load)
        try:
            judgments = judge_one(comparisons, template, args.protocol, protocol, ask, is_batched(judge))
        except RowsFailed as error:
            return f"{pair}: {error}"
        write_table(judgments, output, identity)
        tokens_read, written, usd = judgments.select(pl.col("n_prompt_tokens", "n_tokens", "usd").sum()).row(0)
        print(f"{pair}: comparisons: {judgments.height}; tokens read: {tokens_read}, written: {written}; ${usd:.2f}")

    run_pairs(judge_pair, list(aligned(args, "pairs", "answers", "outputs")), is_batched(judge))


def judge_one(
    comparisons: pl.DataFrame, template: list[dict], name: str, protocol: Judging, ask: Callable, at_once: bool = False
) -> pl.DataFrame:
    """The judgments of one pair's comparisons; name: that of the protocol; at_once: without trying the first ones."""
    requests = [request(comparison, template) for comparison in undecided(comparisons).iter_rows(named=True)]
    judgments = join_outputs(comparisons, outputs_of(requests, protocol, name, ask, at_once), name)
    check_rows(judgments, comparisons["id"].to_list(), value="judged")
    return judgments.drop("judged")


def request(comparison: dict, template: list[dict]) -> dict:
    """The judge's messages for one comparison; a row of the row store, so that its content is the cache key."""
    answers = [comparison["baseline_answer"], comparison["answer"]]
    first, second = reversed(answers) if comparison["switched"] else answers
    texts = {"instruction": comparison["instruction"], "output_1": first, "output_2": second}
    messages = fill_template(template, **texts)
    return {"id": comparison["id"], "game": comparison["game"], "messages": messages}


def parse_args():
    parser = language_judge_parser(__doc__)
    parser.add_argument("--protocol", choices=sorted(PAIRWISE), required=True)
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    parser.add_argument("--strict-verdicts", action="store_true", help="read verdicts as arena-hard-auto does")
    return parser.parse_args()


if __name__ == "__main__":
    main()
