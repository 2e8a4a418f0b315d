r"""Generate a model's answers to a benchmark: those of the baseline, or of a base model fine-tuned on a teacher.

python -m scripts.answers.answer_benchmark --benchmark held_out --base alpha --teacher terse-large \
    --model '{"model": "results/miniature/checkpoints/alpha/terse-large"}' --sampling '{"max_new_tokens": 64}' \
    --prompts results/miniature/prompts/held_out.parquet \
    --store results/miniature/rows/answers \
    --output results/miniature/answers/held_out/alpha/terse-large.parquet
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.configuration.entries import ENGINE_KEYS, api_settings, entry_of
from scripts.engines.generation import answer_instructions, leave_unanswered
from scripts.models.folder import failure
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.schemas import ANSWERS, conform

VERSION = 1  # of the table; the rows have that of the module that computes them


def main():
    args = parse_args()
    prompts = read_table(args.prompts)
    if failure(args.model["model"]):
        results = leave_unanswered(prompts, "not_trained")
    else:
        results = answer_instructions(prompts, {**args.model, "sampling": args.sampling}, args.store, args.api)
    names = {name: pl.lit(getattr(args, name)) for name in ("benchmark", "base", "teacher")}
    answers = conform(results.drop("candidate").rename({"text": "answer"}).with_columns(**names), ANSWERS)
    check_rows(answers, prompts["id"].to_list(), value="answer")
    write_table(answers, args.output)
    print(f"{answers['answer'].count()} of {answers.height} prompts answered")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument("--base", help="name of the base model; not given for the baseline's answers")
    parser.add_argument("--teacher", required=True, help="teacher of the base model, or the baseline itself")
    model = entry_of("answering_model", *ENGINE_KEYS)
    parser.add_argument("--model", type=model, required=True, help="engine, model, revision ... as JSON")
    parser.add_argument("--sampling", type=entry_of("sampling"), default="{}", help="max_new_tokens ... as JSON")
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON, for the engine openai")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of answers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
