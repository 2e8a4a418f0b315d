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

import argparse
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from scripts.configuration.config_engines import is_batched
from scripts.configuration.entries import ENGINE_KEYS, api_settings, entry_of
from scripts.engines.generation import asker, key_of_rows, loader
from scripts.jobs.aligned import aligned
from scripts.judgments.comparisons import (
    GREEDY,
    PAIRWISE,
    STRICT,
    Pairwise,
    join_outputs,
    list_comparisons,
    undecided,
)
from scripts.judgments.judge_outputs import last_text, read_strict_verdict, shaped
from scripts.judgments.judge_templates import fill_template, read_template
from scripts.judgments.verdict_labels import STRICT as STRICT_LABEL
from scripts.tables.digests import digest, sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.reasoning import STRIP
from scripts.tables.row_store import RowsFailed

VERSION = 3  # of the table; the rows have that of the module that computes them
FIRST = 8  # comparisons after which a judge is not asked further if it said nothing that can be read


def main():
    args = parse_args()
    template, protocol = read_template(args.template), (STRICT if args.strict_verdicts else PAIRWISE)[args.protocol]
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

    pairs = aligned(args, "pairs", "answers", "outputs")
    if failed := [problem for problem in run_pairs(judge_pair, list(pairs), is_batched(judge)) if problem]:
        raise SystemExit("\n".join(failed))


def run_pairs(judge_pair: Callable, pairs: list[tuple], at_once: bool) -> list[str | None]:
    """The results of all pairs: one after the other, or at once, since each waits for its own batch."""
    if not at_once:
        return [judge_pair(*pair) for pair in pairs]
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends the job: its threads may wait for a day
    with ThreadPoolExecutor(max(1, len(pairs))) as threads:
        return list(threads.map(judge_pair, *zip(*pairs, strict=True)))


def asking(judge: dict, store: Path, load: Callable) -> Callable[[list[dict]], list[dict]]:
    """A function from the judge's messages to its outputs, see judge_outputs.py."""
    ask, mode = asker(judge, store, load), judge.get("reasoning", STRIP)
    return lambda requests: [shaped(output, mode) for output in ask(requests)]


def judge_one(
    comparisons: pl.DataFrame, template: list[dict], name: str, protocol: Pairwise, ask: Callable, at_once: bool = False
) -> pl.DataFrame:
    """The judgments of one pair's comparisons; name: that of the protocol; at_once: without trying the first ones."""
    requests = [request(comparison, template) for comparison in undecided(comparisons).iter_rows(named=True)]
    first = requests if at_once else requests[:FIRST]
    refuse_unreadable(judged(first, protocol, ask)[:FIRST], protocol, name)
    outputs = judged(requests, protocol, ask)  # with the first ones, which are in the store
    judgments = join_outputs(comparisons, outputs, name)
    check_rows(judgments, comparisons["id"].to_list(), value="judged")
    print(f"judged by the model: {len(requests)}")
    return judgments.drop("judged")


def request(comparison: dict, template: list[dict]) -> dict:
    """The judge's messages for one comparison; a row of the row store, so that its content is the cache key."""
    answers = [comparison["baseline_answer"], comparison["answer"]]
    first, second = reversed(answers) if comparison["switched"] else answers
    messages = fill_template(template, comparison["instruction"], first, second)
    return {"id": comparison["id"], "game": comparison["game"], "messages": messages}


def judged(requests: list[dict], protocol: Pairwise, ask: Callable) -> list[dict]:
    """The judge's outputs, see judge_outputs.py. A judge whose output cannot be read is asked to finish, once."""
    one = {"second_text": None, "logprobs": None}
    outputs = [one | output | {"cut": output["finish_reason"] == "length"} for output in ask(requests)]
    if not protocol.finish:
        return outputs
    unfinished = [i for i, output in enumerate(outputs) if output["text"] and is_unfinished(output, protocol)]
    if not unfinished:
        return outputs
    second_requests = [
        {**requests[i], "messages": continued(requests[i]["messages"], outputs[i]["text"], protocol.finish)}
        for i in unfinished
    ]
    seconds = dict(zip(unfinished, ask(second_requests), strict=True))
    return [add(output, seconds[i]) if i in seconds else output for i, output in enumerate(outputs)]


def is_unfinished(output: dict, protocol: Pairwise) -> bool:
    """Whether nothing was read. The strict reading asks only a judge without any label, as Arena-Hard v0.1 does."""
    if protocol.read is read_strict_verdict:
        return not STRICT_LABEL.search(output["text"])
    return protocol.read(output) is None


def continued(messages: list[dict], text: str, finish: str) -> list[dict]:
    """The conversation with the judge's first output and the request to finish."""
    return [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": finish}]


def add(first: dict, second: dict) -> dict:
    """Two outputs of the judge as one: both texts, and the sums of tokens and dollars that are known of the first."""
    counted = [name for name in ("n_tokens", "n_prompt_tokens", "usd") if first.get(name) is not None]
    sums = {name: first[name] + (second.get(name) or 0) for name in counted}
    cut = second["finish_reason"] == "length" if second["text"] else first["cut"]
    return first | sums | {"second_text": second["text"], "cut": cut}


def refuse_unreadable(outputs: list[dict], protocol: Pairwise, name: str) -> None:
    """Exit if there are FIRST outputs and none can be read: the judge would be paid for nothing."""
    if len(outputs) < FIRST or any(protocol.read(output) is not None for output in outputs):
        return
    wrote = next((last_text(output) for output in outputs if last_text(output)), None)
    example = f"for example {wrote[:80]!r}" if wrote else f"they have no text ({outputs[0]['reason']})"
    advice = "or take the protocol label" if name == "alpaca_eval" else "or raise its max_new_tokens"
    raise SystemExit(
        f"the first {FIRST} outputs of the judge cannot be read, {example}: "
        f"use another judge or judge_template, {advice}"
    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=sorted(PAIRWISE), required=True)
    judge, sampling = entry_of("language_judge", *ENGINE_KEYS), entry_of("judge_sampling")
    parser.add_argument("--judge", type=judge, required=True, help="engine, model, revision ... of the judge as JSON")
    parser.add_argument("--sampling", type=sampling, default="{}", help="settings that differ from GREEDY, as JSON")
    parser.add_argument("--strict-verdicts", action="store_true", help="read verdicts as arena-hard-auto does")
    parser.add_argument("--template", type=Path, required=True, help="messages with {instruction}, {output_1} ...")
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON, for the engine openai")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    parser.add_argument("--pairs", nargs="+", required=True, help="base/teacher, by their names in the config")
    parser.add_argument("--answers", type=Path, nargs="+", required=True, help="parquet of answers, one per pair")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row stores of the pairs")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of judgments, one per pair")
    return parser.parse_args()


if __name__ == "__main__":
    main()
