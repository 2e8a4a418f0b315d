r"""Import a teacher's responses from a table that already has them.

python -m scripts.responses.import_responses \
    --teacher gemma-2-9b-it --spec '{"path": ..., "columns": {"response": ...}, ...}' \
    --instructions results/mine/instructions.parquet --output results/mine/responses/gemma-2-9b-it.parquet

Every instruction has a row; in a pool, which `candidates` of the source makes, one for each of its first rows in the
table. Thinking in the responses or beside them is as `reasoning` of the source says. A row without a response has a
reason. Exits if no response can be used, or if an instruction has several different responses and the source does not
say how many candidates there are (null).
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.responses.finish_reasons import with_finish_reasons
from scripts.tables.conversations import with_conversations
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.matching import WAY_OUT, counted, match_responses
from scripts.tables.reasoning import STRIP, with_reasoning
from scripts.tables.schemas import RESPONSES, conform
from scripts.tables.source_files import name_of
from scripts.tables.sources import read_texts

VERSION = 4
OPTIONAL = ("turns", "reasoning")


def main():
    args = parse_args()
    instructions = read_table(args.instructions, columns=["id", "instruction"])
    table = with_conversations(read_texts(args.source), args.source)
    matched = match_responses(instructions, table, name_of(args.source), args.source.get("candidates"), WAY_OUT)
    imported = imported_columns(with_finish_reasons(matched), args.teacher)
    responses = conform(with_reasoning(imported, args.source.get("reasoning", STRIP)), RESPONSES)
    n = dict(matched["id"].value_counts().iter_rows())
    check_rows(responses, [i for i in instructions["id"] for _ in range(n[i])], value="response")
    write_table(responses, args.output)
    usable = f"{responses['reason'].null_count()} of {responses.height} responses are usable"
    print(f"{args.teacher}: {usable}; {counted(responses['reason']) or 'none is set aside'}")


def imported_columns(matched: pl.DataFrame, teacher: str) -> pl.DataFrame:
    """The columns of RESPONSES and `reasoning` from the result of with_finish_reasons."""
    return matched.select(
        "id",
        "response",
        *(pl.col(name) if name in matched.columns else pl.lit(None, pl.String).alias(name) for name in OPTIONAL),
        "finish_reason",
        "reason",
        "candidate",
        pl.lit(teacher).alias("teacher"),
        pl.lit(None, pl.Int64).alias("n_tokens"),
        pl.lit(None, pl.Int64).alias("n_prompt_tokens"),
    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument(
        "--spec", dest="source", type=json.loads, required=True, help="path, columns, match, candidates ... as JSON"
    )
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--output", type=Path, required=True, help="parquet of responses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
