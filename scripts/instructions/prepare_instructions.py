r"""Read instructions, set aside those that cannot be used, drop duplicates and draw a nested sample.

python -m scripts.instructions.prepare_instructions \
    --spec '{"path": "mine.jsonl", "columns": {"instruction": "prompt"}, ...}' \
    --output results/mine/instructions.parquet --set-aside results/mine/set_aside/instructions.parquet

An instruction that is more than one message of the user is written as text, and its messages as JSON (see
scripts/tables/conversations.py, and user_turns.py for prompts of several turns). If the source has no id column, the id
of a row is the first 16 digits of the SHA-256 of its instruction. The sample is the first n rows by SHA-256 of seed and
id: a larger n keeps every row of a smaller n, for any order of the source. With `keep_raw`, as for the prompts of a
benchmark, the raw text is kept too: AlpacaEval draws the order of the answers from it.
"""

import argparse
import hashlib
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import write_table
from scripts.tables.sources import content_id, normal, read_texts
from scripts.tables.user_turns import with_user_turns

VERSION = 3


def main():
    args = parse_args()
    source, n = args.source, args.source["n"]
    rows = normalize(with_user_turns(read_texts(source), source), source["max_characters"])
    refuse_repeated_ids(rows)
    rows = mark_duplicates(rows)
    unused = ["reason", "row"] if source.get("keep_raw") else ["reason", "row", "raw_instruction"]
    kept = nested_sample(rows.filter(pl.col("reason").is_null()), n, source["seed"]).drop(unused)
    set_aside = rows.filter(pl.col("reason").is_not_null()).drop("raw_instruction")
    if not kept.height:
        raise SystemExit(f"no usable instruction in {rows.height} rows: {reasons(set_aside)}")
    not_sampled = rows.height - set_aside.height - kept.height
    if n and kept.height < n:
        print(f"n is {n}, but the source has only {kept.height} usable instructions", flush=True)
    write_table(set_aside, args.set_aside)
    write_table(kept, args.output)
    print(
        f"{rows.height} rows: {kept.height} kept, {not_sampled} not sampled, "
        f"{set_aside.height} set aside {reasons(set_aside)}"
    )


def normalize(frame: pl.DataFrame, max_characters: int) -> pl.DataFrame:
    """row (number in the source), id, instruction (normalized), raw_instruction, messages, source, reference, reason.

    reason: why the row cannot be used, null if it can.
    """
    text = normal(frame["instruction"])
    frame = frame.with_columns(text, raw_instruction="instruction").with_row_index("row", offset=1)
    if "id" not in frame.columns:
        frame = frame.with_columns(text.map_elements(content_id, pl.String).alias("id"))
    empty = {n: pl.lit(None, pl.String) for n in ("messages", "source", "reference", "unreadable")}
    frame = frame.with_columns(**{name: value for name, value in empty.items() if name not in frame.columns})
    reason = (
        pl.when(pl.col("unreadable").is_not_null())
        .then(pl.col("unreadable"))
        .when(pl.col("instruction").is_null())
        .then(pl.lit("not_a_text"))
        .when(pl.col("instruction") == "")
        .then(pl.lit("empty"))
        .when(pl.col("id").is_null() | (pl.col("id") == ""))
        .then(pl.lit("no_id"))
        .when(pl.col("instruction").str.len_chars() > max_characters)
        .then(pl.lit("too_long"))
        .when(pl.col("instruction").str.contains("\ufffd"))
        .then(pl.lit("undecodable"))
    )
    columns = ("row", "id", "instruction", "raw_instruction", "messages", "^tools$", "^n_turns$", "source", "reference")
    return frame.select(*columns, reason.alias("reason"))


def refuse_repeated_ids(rows: pl.DataFrame) -> None:
    """Exit naming the ids that several instructions have: joins by id would multiply rows."""
    repeated = rows.filter(pl.col("reason").is_null()).group_by("id").agg(pl.col("instruction").n_unique().alias("n"))
    ids = sorted(repeated.filter(pl.col("n") > 1)["id"])
    if ids:
        raise SystemExit(f"ids that several instructions have ({len(ids)}): {', '.join(ids[:5])}")


def mark_duplicates(rows: pl.DataFrame) -> pl.DataFrame:
    """A row with the same instruction as an earlier row gets the reason `duplicate`."""
    usable = pl.col("reason").is_null()
    duplicate = usable & ~pl.struct("instruction", "reason").is_first_distinct()
    return rows.with_columns(pl.when(duplicate).then(pl.lit("duplicate")).otherwise(pl.col("reason")).alias("reason"))


def nested_sample(rows: pl.DataFrame, n: int | None, seed: int) -> pl.DataFrame:
    """The first n rows in the order of SHA-256 of seed and id; all rows if n is None."""
    order = [hashlib.sha256(f"{seed}:{i}".encode()).hexdigest() for i in rows["id"]]
    return rows.with_columns(pl.Series("order", order)).sort("order").drop("order").head(n or rows.height)


def reasons(set_aside: pl.DataFrame) -> str:
    counts = set_aside["reason"].value_counts(sort=True).rows()
    return ", ".join(f"{reason}: {count}" for reason, count in counts)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--spec", dest="source", type=json.loads, required=True, help="path or dataset, columns, n, seed ... as JSON"
    )
    parser.add_argument("--output", type=Path, required=True, help="parquet of instructions")
    parser.add_argument(
        "--set-aside", type=Path, required=True, help="parquet of the rows that are not used, with reasons"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
