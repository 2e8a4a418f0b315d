"""Rows answered by the engine that a config entry names, through the row store.

An engine is a module engine_<name>.py. Its BLOCK is the number of rows stored at a time, which a killed job may have to
do again. Its `load(spec)` gives a function from rows to results, one per row in their order. A row is a dict of
instruction, or else messages (role and content), and of whatever tells it from others. A result is a dict of text (None
where there is none), finish_reason (stop | length), n_tokens (generated tokens, the end of turn not counted),
n_prompt_tokens, reason (why the text cannot be used, else None), usd where the model has a price and, where sampling
asks for `logprobs`, those of the likeliest first tokens, as JSON; or an exception for a row that failed, which is asked
again in the next run.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

import polars as pl

from scripts.models.folder import key_of
from scripts.tables.row_store import RowStore

# where and how an engine runs changes no answer that is worth paying for again
OPERATIONAL = ("base_url", "api_key_env", "gpu_memory_utilization", "enforce_eager")
COLUMNS = {"text": pl.String, "finish_reason": pl.String, "n_tokens": pl.Int64, "reason": pl.String}


def asker(spec: dict, store_folder: Path, api: dict) -> Callable[[list[dict]], list[dict]]:
    """A function from rows to results. The engine is loaded once, when a row is missing in the store.

    `spec` is a model entry of the config with its sampling. `api` says how to ask an endpoint. Neither that nor
    OPERATIONAL is part of the key by which results are stored: a server with another address is asked nothing again.
    """
    engine = import_module(f"scripts.engines.engine_{spec['engine']}")
    told = {key: value for key, value in spec.get(spec["engine"], {}).items() if key not in OPERATIONAL}
    store = RowStore(store_folder, key_of({**spec, spec["engine"]: told}), engine.VERSION)

    @cache
    def load():
        return engine.load({**spec, "api": api})

    return lambda rows: store.fill(rows, load, engine.BLOCK)


def answer_instructions(
    instructions: pl.DataFrame, spec: dict, store_folder: Path, api: dict, candidates: int = 1
) -> pl.DataFrame:
    """id, candidate, text, finish_reason, n_tokens, reason: `candidates` rows per instruction, in their order.

    `instructions` has the columns id and instruction.
    """
    ask = asker(spec, store_folder, api)
    frames = []
    for candidate in range(candidates):  # one after the other, so that a larger pool has the same blocks
        asked = instructions.select("id", "instruction", candidate=pl.lit(candidate, pl.Int32))
        answers = ask(asked.to_dicts())
        frames.append(asked.select("id", "candidate").hstack(pl.DataFrame(answers, schema=COLUMNS)))
    order = pl.int_range(pl.len()).over("candidate")
    return pl.concat(frames).sort(order, "candidate")
