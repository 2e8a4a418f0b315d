"""Ask a language model for judgments: the first ones alone, then all of them; whom to ask once more to finish."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import polars as pl

from scripts.engines.generation import asker
from scripts.judgments.judge_outputs import last_text, read_strict_verdict, shaped
from scripts.judgments.verdict_labels import STRICT as STRICT_LABEL
from scripts.tables.reasoning import STRIP

FIRST = 8  # judgments after which a judge is not asked further if it said nothing that can be read
# what is stored of a judge's output
OUTPUT_COLUMNS = {
    "text": pl.String,
    "second_text": pl.String,
    "cut": pl.Boolean,
    "logprobs": pl.String,
    "n_tokens": pl.Int64,
    "n_prompt_tokens": pl.Int64,
    "usd": pl.Float64,
    "reason": pl.String,
}
# a judge's sampling, where neither the configuration nor the protocol sets it
GREEDY = {"temperature": 0, "top_p": 1, "seed": 0, "max_new_tokens": 4096, "batch_tokens": 32768, "options": {}}


class Judging(NamedTuple):
    """How a protocol asks a language model for a judgment."""

    games: int  # judgments of an answer: 1, or 2, with both orders of two answers
    sampling: dict  # settings that the protocol requires
    read_from: str  # the column of the output that the scores are made from
    read: Callable[[dict], object]  # what an output says; None if it cannot be read
    finish: str | None = None  # what a judge is asked if its output cannot be read


def run_pairs(judge_pair: Callable[..., str | None], pairs: list[tuple], at_once: bool) -> None:
    """Judge all pairs: one after the other, or at once, since each waits for its own batch.

    judge_pair returns why a pair has no judgments; after the last pair, exits with these lines.
    """
    if at_once:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends the job: its threads may wait for a day
        with ThreadPoolExecutor(max(1, len(pairs))) as threads:
            results = list(threads.map(judge_pair, *zip(*pairs, strict=True)))
    else:
        results = [judge_pair(*pair) for pair in pairs]
    if failed := [problem for problem in results if problem]:
        raise SystemExit("\n".join(failed))


def asking(judge: dict, store: Path, load: Callable) -> Callable[[list[dict]], list[dict]]:
    """A function from the judge's messages to its outputs, see judge_outputs.py."""
    ask, mode = asker(judge, store, load), judge.get("reasoning", STRIP)
    return lambda requests: [shaped(output, mode) for output in ask(requests)]


def outputs_of(requests: list[dict], protocol: Judging, name: str, ask: Callable, at_once: bool) -> list[dict]:
    """The judge's outputs, see judge_outputs.py; name: that of the protocol; at_once: without trying the first ones.

    requests: rows of the row store with the judge's messages. Exits if none of the first outputs can be read.
    """
    first = requests if at_once else requests[:FIRST]
    refuse_unreadable(judged(first, protocol, ask)[:FIRST], protocol, name)
    print(f"judged by the model: {len(requests)}")
    return judged(requests, protocol, ask)  # with the first ones, which are in the store


def judged(requests: list[dict], protocol: Judging, ask: Callable) -> list[dict]:
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


def is_unfinished(output: dict, protocol: Judging) -> bool:
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


def refuse_unreadable(outputs: list[dict], protocol: Judging, name: str) -> None:
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
