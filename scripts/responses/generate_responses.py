r"""Generate a teacher's responses to the instructions: one each, or several each for a pool.

python -m scripts.responses.generate_responses \
    --teacher terse-large --model '{"model": "results/world/terse-large"}' \
    --sampling '{"max_new_tokens": 64}' --candidates 1 \
    --instructions results/miniature/instructions.parquet \
    --store results/miniature/rows/responses \
    --output results/miniature/responses/terse-large.parquet
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.configuration.entries import ENGINE_KEYS, api_settings, entry_of
from scripts.engines.generation import answer_instructions, loader
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.schemas import RESPONSES, conform

VERSION = 3  # of the table; the rows have that of the module that computes them


def main():
    args = parse_args()
    instructions = read_table(args.instructions)
    spec = {**args.model, "sampling": args.sampling}
    results = answer_instructions(instructions, spec, args.store, loader(spec, args.api), args.candidates)
    results = results.rename({"text": "response"}).with_columns(teacher=pl.lit(args.teacher), turns=pl.lit(None))
    responses = conform(results, RESPONSES)
    check_rows(responses, [i for i in instructions["id"] for _ in range(args.candidates)], value="response")
    write_table(responses, args.output)
    cut = responses["finish_reason"].eq("length").mean()
    print(f"{args.teacher}: {responses['response'].count()} responses, {cut or 0:.1%} cut at max_new_tokens")
    print(responses["reason"].value_counts() if responses["reason"].count() else "every row has a usable response")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    model = entry_of("answering_model", *ENGINE_KEYS)
    parser.add_argument("--model", type=model, required=True, help="engine, model, revision ... as JSON")
    parser.add_argument("--sampling", type=entry_of("sampling"), default="{}", help="max_new_tokens ... as JSON")
    parser.add_argument("--candidates", type=int, required=True, help="responses per instruction")
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON, for the engine openai")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
