"""Results of rows, computed by the engine that a config entry names and kept in the row store.

An engine is a module engine_<name>.py. It declares as literals, which are read without importing it:

VERSION      raised when its results change; part of the key of stored results
ENVIRONMENT  the file envs/<ENVIRONMENT>.yaml that it runs in
ENDPOINT     True if a server computes the results: no GPU, no weights, no chat template, but prices and a key
GPUS         the setting of its section that must equal `gpus`; None if it has no such setting
OPERATIONAL  the settings of its section that change no result; they are not part of the key
BLOCK        rows stored at a time; a killed job may have to compute one block again

It defines functions. `check(entry)` returns what is wrong with a config entry, one line per problem, without loading
anything; `check_config(config)` what is wrong with a model's own config, for an engine that loads models. `load(spec)`
returns a function from rows and a sampling to results, one result per row, in the order of the rows. With `batch` in
the engine's section it gets all rows at once, and the folder of the stored rows.

A row is a dict of instruction, or else messages (role and content, maybe calls) and maybe the tools that they offer,
and of whatever distinguishes it from other rows. A result is a dict of text (None if there is no text), finish_reason
(stop | length), n_tokens (generated tokens without the end of turn), n_prompt_tokens, reason (why the text cannot be
used, else None) and usd if the model has a price. The text is raw: it has the thinking that the model wrote in it, with
the tags around it. An endpoint's result also has `reasoning`: thinking that it sent beside the text, or None.
n_thinking_tokens is there if it is known. If sampling asks for a number of `first_tokens`, logprobs has the
most likely ones: a list of pairs, text and log-probability, as JSON. The result of a row that failed is an exception
(see scripts/tables/row_store.py); the next run computes that row again.
"""

import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path

import polars as pl

from scripts.configuration.config_engines import engine_module, is_batched, is_endpoint
from scripts.engines.results import without_text
from scripts.jobs.code import declared
from scripts.models.folder import key_of
from scripts.tables.conversations import PROMPT, prompt_of, tools_of
from scripts.tables.reasoning import STRIP, with_reasoning
from scripts.tables.row_store import RowStore

RESULT_COLUMNS = {"text": pl.String, "finish_reason": pl.String, "n_tokens": pl.Int64, "n_prompt_tokens": pl.Int64}
RESULT_COLUMNS |= {"reason": pl.String, "reasoning": pl.String, "n_thinking_tokens": pl.Int64}


def asker(spec: dict, store_folder: Path, load: Callable) -> Callable[[list[dict]], list[dict]]:
    """A function from rows to results, which are found or kept in a row store. load: see loader.

    `spec` is a model entry of the config with its sampling. The engine's OPERATIONAL settings are not part of the key
    of stored results, nor is the config's section on endpoints: if only the address of a server changes, nothing is
    computed again.
    """
    engine, sampling = engine_module(spec["engine"]), with_greedy_default(spec)["sampling"]
    store = RowStore(store_folder, key_of_rows(spec), declared(engine, "VERSION"))
    store.forget(partial(lacks_thinking, spec))
    settings, block = {"sampling": sampling}, declared(engine, "BLOCK")
    if is_batched(spec):  # all rows at once
        settings, block = settings | {"folder": store.folder}, sys.maxsize
    return lambda rows: store.fill(rows, lambda: partial(load(), **settings), block)


def lacks_thinking(spec: dict, result: dict) -> bool:
    """Whether a stored result is from before thinking was read, and `reasoning` of the configuration needs it now."""
    if result["reason"] == "control_tokens":
        return "reasoning" not in result
    return is_endpoint(spec) and spec.get("reasoning", STRIP) != STRIP and "reasoning" not in result


def loader(spec: dict, api: dict) -> Callable[[], Callable]:
    """A function that loads the engine of `spec`, once, for all the row stores and samplings that need it.

    `api` is the config's section on endpoints. Loading exits if the engine's `check` finds a problem. The engine is
    imported only then: a job whose rows are all stored starts in a second.
    """

    @cache
    def load():
        engine = import_module(engine_module(spec["engine"]))
        if problems := engine.check(spec):
            raise SystemExit(f"{spec['model']}: {'; '.join(problems)}")
        return engine.load({**spec, "api": api})

    return load


def key_of_rows(spec: dict) -> dict:
    """What decides the result of a row besides the row itself, for `spec` as in asker."""
    name = spec["engine"]
    operational = declared(engine_module(name), "OPERATIONAL")
    settings = {key: value for key, value in spec.get(name, {}).items() if key not in operational}
    raw = {key: value for key, value in with_greedy_default(spec).items() if key != "reasoning"}  # texts are stored raw
    return key_of({**raw, name: settings})


def with_greedy_default(spec: dict) -> dict:
    """The spec with a sampling without nulls. Endpoints keep them: what is null is left out of a request."""
    if is_endpoint(spec):
        return spec
    defaults = {"temperature": 0, "top_p": 1, "seed": 0}
    nulls = {key: value for key, value in defaults.items() if spec["sampling"][key] is None}
    return {**spec, "sampling": spec["sampling"] | nulls}


def answer_instructions(
    instructions: pl.DataFrame, spec: dict, store_folder: Path, load: Callable, candidates: int = 1
) -> pl.DataFrame:
    """id, candidate and RESULT_COLUMNS: `candidates` rows per instruction, in the same order.

    `instructions` has the columns id, instruction and maybe messages and tools. spec, store_folder and load: see asker.
    Thinking in the texts is as `reasoning` of spec says, see scripts/tables/reasoning.py.
    """
    ask = asker(spec, store_folder, load)
    pool = [instructions.select("id", *PROMPT, candidate=pl.lit(i, pl.Int32)) for i in range(candidates)]
    # one candidate after the other, so that a larger pool has the same blocks; in batches, the whole pool at once
    groups = [pl.concat(pool)] if is_batched(spec) else pool
    frames = [with_results(rows, ask([question(row) for row in rows.to_dicts()])) for rows in groups]
    order = pl.int_range(pl.len()).over("candidate")
    rows = with_reasoning(pl.concat(frames), spec.get("reasoning", STRIP), "text")
    return rows.sort(order, "candidate")


def question(row: dict) -> dict:
    """A row of instructions as an engine takes it: with its messages, if it is more than one message of the user."""
    messages = prompt_of(row)
    if isinstance(messages, str):
        return {"id": row["id"], "instruction": messages, "candidate": row["candidate"]}
    offered = {"tools": tools} if (tools := tools_of(row)) else {}
    return {"id": row["id"], "messages": messages, **offered, "candidate": row["candidate"]}


def leave_unanswered(instructions: pl.DataFrame, reason: str) -> pl.DataFrame:
    """The same columns as answer_instructions, without any text and with the same reason in every row."""
    rows = instructions.select("id", candidate=pl.lit(0, pl.Int32))
    return with_results(rows, [without_text(reason)] * rows.height)


def with_results(rows: pl.DataFrame, results: list[dict]) -> pl.DataFrame:
    return rows.select("id", "candidate").hstack(pl.DataFrame(results, schema=RESULT_COLUMNS))
