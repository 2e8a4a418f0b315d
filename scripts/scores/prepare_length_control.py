r"""Prepare length-controlled win rates: the difficulty of each instruction, and the gamed rows.

python -m scripts.scores.prepare_length_control --prompts-spec '{"dataset": "tatsu-lab/alpaca_eval", ...}' \
    --difficulty '{"file": "instruction_difficulty.csv", "columns": {"difficulty": ...}, ...}' \
    --gamed '{"file": "df_gamed.csv", "columns": {"y": ..., "std_delta_len": ..., "difficulty": ...}, ...}' \
    --prompts results/mine/prompts/alpaca_eval.parquet \
    --output-difficulty results/mine/length_control/alpaca_eval/difficulty.parquet \
    --output-gamed results/mine/length_control/alpaca_eval/gamed.parquet

The published difficulties have no id: they are in the order of the published prompts. This script joins them with their
instructions once, so that a sample or another order of the prompts cannot misalign them.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import read_table, write_table
from scripts.tables.source_files import name_of
from scripts.tables.sources import normal, read_texts


def main():
    args = parse_args()
    columns = {"instruction": args.prompts_spec["columns"]["instruction"]}
    instruction = normal(read_texts(args.prompts_spec | {"columns": columns})["instruction"])
    difficulty = numbers(args.difficulty)["difficulty"]
    if len(difficulty) != len(instruction):
        raise SystemExit(
            f"length_control.difficulty: {len(difficulty)} difficulties for {len(instruction)} prompts: "
            "the table needs one row per row of the benchmark's prompts, in the same order"
        )
    published = pl.DataFrame({"instruction": instruction, "difficulty": difficulty}).unique("instruction", keep="first")
    prompts = read_table(args.prompts, columns=["id", "instruction"])
    found = prompts.join(published, on="instruction", how="left", validate="1:1", maintain_order="left")
    gamed = numbers(args.gamed)
    if not gamed["y"].is_between(0, 1).all():
        raise SystemExit(
            "length_control.gamed: y must be between 0 and 1, the chance that the gamed answer is preferred"
        )
    write_table(gamed, args.output_gamed)
    write_table(found.select("id", "difficulty"), args.output_difficulty)
    print(f"prompts with a difficulty: {found['difficulty'].count()} of {found.height}; gamed rows: {gamed.height}")


def numbers(source: dict) -> pl.DataFrame:
    """The columns of a source as numbers; exits naming the first text that is none."""
    texts = read_texts(source)
    table = texts.cast(pl.Float64, strict=False)
    for column in texts:
        wrong = column.filter(table[column.name].is_null() & column.is_not_null())
        if len(wrong):
            raise SystemExit(f"{name_of(source)}: {column.name}: not a number: {wrong[0][:60]!r}")
    return table


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts-spec", type=json.loads, required=True, help="source of the prompts as JSON")
    parser.add_argument("--difficulty", type=json.loads, required=True, help="source of the difficulties as JSON")
    parser.add_argument("--gamed", type=json.loads, required=True, help="source of the gamed rows as JSON")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--output-difficulty", type=Path, required=True, help="parquet of id and difficulty")
    parser.add_argument("--output-gamed", type=Path, required=True, help="parquet of gamed rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
