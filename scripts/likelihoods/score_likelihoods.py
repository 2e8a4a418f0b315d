"""Compute the likelihood of teachers' responses under a model: sums per row, for all metrics based on likelihood.

python -m scripts.likelihoods.score_likelihoods \
    --name alpha --teachers terse-large terse-small --prompt chat \
    --model '{"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}' \
    --limits '{"max_length": 4096}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-{large,small}.parquet \
    --store results/miniature/rows/likelihoods/alpha \
    --outputs results/miniature/likelihoods/alpha/terse-{large,small}.parquet

The model is loaded once for all teachers, and only if a row is missing in the store. It is a base model or, with
--prompt plain, a reference model, which has no chat template. A row longer than max_length is set aside for a base
model; for a reference model it is truncated to its start and marked `truncated`.

Each row takes two forward passes. With the instruction, through the base's chat template: nll (negative log-likelihood,
in nats) and rank, summed over the response's own tokens, and separately over the end of turn (empty if the response was
cut at its maximum length). Direct, for IFD (Li et al., Superfiltering, 2402.00530): the same response ids without the
instruction, after the tokenizer's BOS; without a BOS the first token has no prediction and is not counted. The most
likely token has rank 1, and ranks are clipped at 100 (2601.14249, rsr_cal.py). With `per_token` in the limits, the
values of each token are stored too, those of the end of turn last: a new metric based on them needs no forward pass.
"""

import argparse
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from scripts.configuration.entries import BASE_KEYS, REFERENCE_MODEL_KEYS, entry_of
from scripts.jobs.aligned import aligned
from scripts.jobs.code import declared
from scripts.likelihoods.known_prompts import Known, remember
from scripts.likelihoods.scored_rows import Scores, write_scores
from scripts.likelihoods.sums import PER_TOKEN, SUMS
from scripts.models.folder import key_of
from scripts.tables.row_store import RowStore

VERSION = 1  # of the table; the rows have that of the module that computes them
ROWS = "scripts.likelihoods.token_scores"


def main():
    args = parse_args()
    spec = {**args.model, **args.limits, "prompt": args.prompt}
    columns = SUMS | (PER_TOKEN if args.limits["per_token"] else {})
    known, key = {}, key_of(spec)
    load = cache(lambda: scorer_of(spec, known))
    scores = Scores(f"model {args.name}", columns, "nll", load, declared(ROWS, "BLOCK"), seen=partial(remember, known))
    for teacher, *files in aligned(args, "teachers", "instructions", "responses", "outputs"):
        store = RowStore(args.store / teacher, key, declared(ROWS, "VERSION"))
        likelihoods = write_scores(scores, store, *files)
        nll, n = likelihoods["nll"].sum(), likelihoods["n_tokens"].sum()
        print(f"{args.name} on {teacher}: {nll / max(n, 1):.4f} nats per token over {n} tokens")
        print(f"truncated rows: {likelihoods['truncated'].sum()}")


def scorer_of(spec: dict, known: Known) -> Callable:
    from scripts.likelihoods.token_scores import load_scorer  # it loads torch, which stored rows do not need

    return load_scorer(spec, known)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="name of the base or reference model in the config")
    parser.add_argument("--teachers", nargs="+", required=True, help="names of the teachers in the config")
    parser.add_argument("--model", required=True, help="model, revision, chat_template ... as JSON")
    parser.add_argument("--prompt", choices=["chat", "plain"], required=True, help="plain for a reference model")
    parser.add_argument("--limits", type=entry_of("likelihoods"), default="{}", help="section likelihoods as JSON")
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row stores of the teachers")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of sums, one per teacher")
    args = parser.parse_args()
    kind, keys = ("base", BASE_KEYS) if args.prompt == "chat" else ("reference_model", REFERENCE_MODEL_KEYS)
    try:
        args.model = entry_of(kind, *keys)(args.model)
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --model: {error}")
    return args


if __name__ == "__main__":
    main()
