"""Compute how natural the steps of teachers' responses are to a base, each after a few steps before it, for LALP.

python -m scripts.likelihoods.score_lalp \
    --name alpha --teachers terse-large terse-small \
    --model '{"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}' \
    --settings '{"n": 512, "steps_before": 4}' --limits '{"max_length": 4096}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-{large,small}.parquet \
    --store results/miniature/rows/lalp/alpha \
    --outputs results/miniature/lalp/alpha/terse-{large,small}.parquet

Of each teacher the responses to the same n instructions are used; the others get the reason not_sampled. The base is
loaded once for all teachers, and only if a row is missing in the store. A step is scored given the instruction and at
most steps_before steps before it (2510.03988): one window of tokens per step, except that the first steps share one.
"""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl

from scripts.configuration.entries import BASE_KEYS, entry_of
from scripts.jobs.aligned import aligned
from scripts.jobs.code import declared
from scripts.likelihoods.scored_rows import Scores, write_scores
from scripts.models.folder import key_of
from scripts.tables.row_store import RowStore

VERSION = 1  # of the table; the rows have that of the module that computes them
ROWS = "scripts.likelihoods.step_windows"
COLUMNS = {"n_steps": pl.Int64, "step_log_prob": pl.Float64}


def main():
    args = parse_args()
    n = args.settings.pop("n")
    spec = {**args.model, **args.settings, **args.limits}
    load = cache(lambda: scorer_of(spec))
    scores = Scores(f"lalp {args.name}", COLUMNS, "step_log_prob", load, declared(ROWS, "BLOCK"), n)
    key = key_of(spec)
    for teacher, *files in aligned(args, "teachers", "instructions", "responses", "outputs"):
        store = RowStore(args.store / teacher, key, declared(ROWS, "VERSION"))
        table = write_scores(scores, store, *files)
        print(f"{args.name} on {teacher}: {table['n_steps'].sum()} steps in {table['n_steps'].count()} responses")


def scorer_of(spec: dict) -> Callable:
    from scripts.likelihoods.step_windows import load_scorer  # it loads torch, which stored rows do not need

    return load_scorer(spec)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="name of the base model in the config")
    parser.add_argument("--teachers", nargs="+", required=True, help="names of the teachers in the config")
    base, limits = entry_of("base", *BASE_KEYS), entry_of("likelihoods", "max_length", "batch_tokens")
    parser.add_argument("--model", type=base, required=True, help="model, chat_template ... as JSON")
    parser.add_argument("--settings", type=entry_of("lalp"), default="{}", help="section lalp as JSON")
    parser.add_argument(
        "--limits", type=limits, default="{}", help="max_length and batch_tokens of likelihoods as JSON"
    )
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row stores of the teachers")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of steps, one per teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
