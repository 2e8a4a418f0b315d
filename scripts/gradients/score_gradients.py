"""Compute the gradients of a base for teachers' responses: length and projection per row, for GRACE and G-Vendi.

python -m scripts.gradients.score_gradients \
    --name alpha --teachers terse-large terse-small \
    --model '{"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}' \
    --settings '{"n": 512, "lora": false}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-{large,small}.parquet \
    --store results/miniature/rows/gradients/alpha \
    --outputs results/miniature/gradients/alpha/terse-{large,small}.parquet

Of each teacher the responses to the same n instructions are used; the others get the reason not_sampled. The base is
loaded once for all teachers, and only if a row is missing in the store. The gradient is that of the row's mean loss
over the tokens that fine-tuning trains on, of one row at a time, and it is projected to 512 dimensions
(scripts/gradients/projection.py).
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
ROWS = "scripts.gradients.row_gradients"
COLUMNS = {"gradient_norm": pl.Float64, "projection": pl.List(pl.Float32)}


def main():
    args = parse_args()
    n = args.settings.pop("n")
    spec = {**args.model, **args.settings}
    load = cache(lambda: gradients_of(spec))
    scores = Scores(f"gradients {args.name}", COLUMNS, "gradient_norm", load, declared(ROWS, "BLOCK"), n)
    key = key_of(spec)
    for teacher, *files in aligned(args, "teachers", "instructions", "responses", "outputs"):
        store = RowStore(args.store / teacher, key, declared(ROWS, "VERSION"))
        table = write_scores(scores, store, *files)
        print(f"{args.name} on {teacher}: {table['gradient_norm'].count()} gradients")


def gradients_of(spec: dict) -> Callable:
    from scripts.gradients.row_gradients import load_gradients  # it loads torch, which stored rows do not need

    return load_gradients(spec)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="name of the base model in the config")
    parser.add_argument("--teachers", nargs="+", required=True, help="names of the teachers in the config")
    base, settings = entry_of("base", *BASE_KEYS), entry_of("gradients")
    parser.add_argument("--model", type=base, required=True, help="model, chat_template ... as JSON")
    parser.add_argument("--settings", type=settings, default="{}", help="section gradients as JSON")
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row stores of the teachers")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of gradients, one per teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
