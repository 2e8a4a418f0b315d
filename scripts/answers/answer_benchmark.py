r"""Generate a model's answers to benchmarks: those of the baseline, or of a base model fine-tuned on a teacher.

python -m scripts.answers.answer_benchmark --benchmarks held_out --base alpha --teacher terse-large \
    --model '{"model": "results/miniature/checkpoints/alpha/terse-large"}' --samplings '{"max_new_tokens": 64}' \
    --prompts results/miniature/prompts/held_out.parquet \
    --stores results/miniature/rows/answers/held_out/alpha/terse-large \
    --outputs results/miniature/answers/held_out/alpha/terse-large.parquet

The model is loaded once for all benchmarks, and only if a row is missing in a store. A prompt of several turns has a
row for each turn (answer_turns.py).
"""

import argparse
from functools import partial
from pathlib import Path

import polars as pl

from scripts.answers.answer_turns import answer_turns, every_turn
from scripts.configuration.entries import ENGINE_KEYS, api_settings, entry_of
from scripts.engines.generation import answer_instructions, leave_unanswered, loader
from scripts.jobs.aligned import aligned
from scripts.models.folder import failure
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.schemas import ANSWERS, TURN, conform

VERSION = 2  # of the table; the rows have that of the module that computes them


def main():
    args = parse_args()
    load = loader({**args.model, "sampling": args.samplings[0]}, args.api)
    for benchmark, sampling, prompts, store, output in aligned(
        args, "benchmarks", "samplings", "prompts", "stores", "outputs"
    ):
        asked = read_table(prompts)
        turns = every_turn(asked)
        if failure(args.model["model"]):
            results = leave_unanswered(turns, "not_trained").hstack(turns.drop("id"))
        else:
            spec = {**args.model, "sampling": sampling}
            results = answer_turns(asked, partial(answer_instructions, spec=spec, store_folder=store, load=load))
        names = {"benchmark": pl.lit(benchmark), "base": pl.lit(args.base), "teacher": pl.lit(args.teacher)}
        answers = conform(
            results.drop("candidate", "n_prompt_tokens").rename({"text": "answer"}).with_columns(**names),
            ANSWERS | (TURN if "turn" in turns.columns else {}),
        )
        check_rows(answers, turns["id"].to_list(), value="answer")
        write_table(answers, output)
        unit = "turns" if "turn" in turns.columns else "prompts"
        print(f"{benchmark}: {answers['answer'].count()} of {answers.height} {unit} answered")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", nargs="+", required=True, help="names of the benchmarks in the config")
    parser.add_argument("--base", help="name of the base model; not given for the baseline's answers")
    parser.add_argument("--teacher", required=True, help="teacher of the base model, or the baseline itself")
    model = entry_of("answering_model", *ENGINE_KEYS)
    parser.add_argument("--model", type=model, required=True, help="engine, model, revision ... as JSON")
    sampling = {"type": entry_of("sampling"), "nargs": "+"}
    parser.add_argument("--samplings", **sampling, required=True, help="max_new_tokens ... as JSON, one per benchmark")
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON, for the engine openai")
    parser.add_argument("--prompts", type=Path, nargs="+", required=True, help="parquet, one per benchmark")
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="row store, one per benchmark")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of answers, one per benchmark")
    return parser.parse_args()


if __name__ == "__main__":
    main()
