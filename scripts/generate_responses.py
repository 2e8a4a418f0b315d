"""A teacher answers the instructions.

python scripts/generate_responses.py --teacher terse-large --model '{"engine": "transformers", "model": ...}' \
    --sampling '{"max_new_tokens": 64, ...}' \
    --instructions results/miniature/instructions.parquet \
    --store results/miniature/rows/responses \
    --output results/miniature/responses/terse-large.parquet
"""

import argparse
import json
from pathlib import Path

import polars as pl

from generation import answer_instructions
from rows import check_rows, write_table


def main():
    args = parse_args()
    instructions = pl.read_parquet(args.instructions)
    answers = answer_instructions(instructions, {**args.model, "sampling": args.sampling}, args.store)
    responses = answers.rename({"text": "response"}).select(
        "id",
        pl.lit(0, pl.Int32).alias("candidate"),
        pl.lit(args.teacher).alias("teacher"),
        "response",
        "finish_reason",
        "n_tokens",
        "reason",
    )
    check_rows(responses, instructions["id"].to_list(), value="response")
    write_table(responses, args.output)
    cut = responses["finish_reason"].eq("length").mean()
    print(f"{args.teacher}: {responses['response'].count()} responses, {cut or 0:.1%} cut at max_new_tokens")
    print(responses["reason"].value_counts() if responses["reason"].count() else "no row set aside")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--model", type=json.loads, required=True, help="engine, model, revision ... as JSON")
    parser.add_argument("--sampling", type=json.loads, required=True, help="max_new_tokens, temperature ... as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
