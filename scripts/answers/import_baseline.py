r"""Import a benchmark's baseline answers from a table that already has them.

python -m scripts.answers.import_baseline \
    --benchmark alpaca_eval --spec '{"path": ..., "columns": {"response": ...}, ...}' \
    --prompts results/mine/prompts/alpaca_eval.parquet --output results/mine/baselines/alpaca_eval.parquet

Rows are matched to the prompts by id or by text, like imported responses, and never by position: published answers are
in a different order than published prompts. Thinking before an answer is left out.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.conversations import with_conversations
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.matching import counted, match_responses
from scripts.tables.reasoning import STRIP, with_reasoning
from scripts.tables.schemas import ANSWERS, conform
from scripts.tables.source_files import name_of
from scripts.tables.sources import read_texts

VERSION = 3


def main():
    args = parse_args()
    prompts = read_table(args.prompts, columns=["id", "instruction"])
    one_message = {"turns": "last", "system": None}
    table = with_conversations(read_texts(args.source), args.source | one_message)
    matched = match_responses(prompts, table, name_of(args.source))
    unknown = {name: pl.lit(None) for name in ("base", "teacher", "finish_reason", "n_tokens")}
    unknown |= {"reasoning": pl.lit(None, pl.String)}
    answers = matched.select("id", "reason", answer="response", benchmark=pl.lit(args.benchmark), **unknown)
    answers = conform(with_reasoning(answers, STRIP, "answer"), ANSWERS)
    check_rows(answers, prompts["id"].to_list(), value="answer")
    write_table(answers, args.output)
    usable = f"{answers['reason'].null_count()} of {answers.height} prompts have a baseline answer"
    print(f"{usable}; {counted(answers['reason']) or 'none is set aside'}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument(
        "--spec", dest="source", type=json.loads, required=True, help="path or dataset, columns, match as JSON"
    )
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--output", type=Path, required=True, help="parquet of answers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
