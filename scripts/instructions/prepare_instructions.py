"""Read instructions, set aside what cannot be used, drop duplicates and draw a nested sample.

python -m scripts.instructions.prepare_instructions \
    --spec '{"path": "mine.jsonl", "columns": {"instruction": "prompt"}, ...}' \
    --output results/mine/instructions.parquet --set-aside results/mine/set_aside/instructions.parquet

A row's id is the first 16 digits of the SHA-256 of its instruction unless the source has an id column. The sample is
the first n rows by SHA-256 of seed and id: a larger n keeps every row of a smaller one, whatever the order of the
source.
"""

import argparse
import hashlib
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import write_table
from scripts.tables.sources import as_text, content_id, normal, read_columns, read_source


def main():
    args = parse_args()
    spec = args.spec
    source = read_columns(read_source(spec), spec["columns"])
    rows = normalise(source.select(as_text(column) for column in source), spec["max_characters"])
    refuse_repeated_ids(rows)
    rows = mark_duplicates(rows)
    kept = nested_sample(rows.filter(pl.col("reason").is_null()), spec["n"], spec["seed"]).drop("reason", "row")
    aside = rows.filter(pl.col("reason").is_not_null())
    if not kept.height:
        raise SystemExit(f"no usable instruction among {rows.height} rows: {reasons(aside)}")
    unsampled = rows.height - aside.height - kept.height
    if spec["n"] and kept.height < spec["n"]:
        print(f"n: {spec['n']} asked for, {kept.height} there", flush=True)
    write_table(aside, args.set_aside)
    write_table(kept, args.output)
    print(f"{rows.height} rows: {kept.height} kept, {unsampled} not sampled, {aside.height} set aside {reasons(aside)}")


def normalise(frame: pl.DataFrame, max_characters: int) -> pl.DataFrame:
    """row, id, instruction, source, reference, reason: Unicode NFC, one kind of newline, no outer white space."""
    text = normal(frame["instruction"])
    frame = frame.with_columns(text).with_row_index("row", offset=1)
    for name, value in (("id", text.map_elements(content_id, pl.String)), ("source", None), ("reference", None)):
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(value, pl.String).alias(name) if value is None else value.alias(name))
    reason = (
        pl.when(pl.col("instruction").is_null())
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
    return frame.select("row", "id", "instruction", "source", "reference", reason.alias("reason"))


def refuse_repeated_ids(rows: pl.DataFrame) -> None:
    """Exit naming the ids that stand before different instructions: joins by id would multiply rows."""
    repeated = rows.filter(pl.col("reason").is_null()).group_by("id").agg(pl.col("instruction").n_unique().alias("n"))
    ids = sorted(repeated.filter(pl.col("n") > 1)["id"])
    if ids:
        raise SystemExit(f"{len(ids)} ids stand before several instructions: {', '.join(ids[:5])}")


def mark_duplicates(rows: pl.DataFrame) -> pl.DataFrame:
    """A row whose instruction came before, word for word, gets the reason `duplicate`."""
    usable = pl.col("reason").is_null()
    again = usable & ~pl.struct("instruction", "reason").is_first_distinct()
    return rows.with_columns(pl.when(again).then(pl.lit("duplicate")).otherwise(pl.col("reason")).alias("reason"))


def nested_sample(rows: pl.DataFrame, n: int | None, seed: int) -> pl.DataFrame:
    """The first n rows (all without n) in the order of SHA-256 of seed and id."""
    order = [hashlib.sha256(f"{seed}:{i}".encode()).hexdigest() for i in rows["id"]]
    return rows.with_columns(pl.Series("order", order)).sort("order").drop("order").head(n or rows.height)


def reasons(aside: pl.DataFrame) -> str:
    counts = aside["reason"].value_counts(sort=True).rows()
    return ", ".join(f"{reason}: {count}" for reason, count in counts)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=json.loads, required=True, help="path or dataset, columns, n, seed ... as JSON")
    parser.add_argument("--output", type=Path, required=True, help="parquet of instructions")
    parser.add_argument("--set-aside", type=Path, required=True, help="parquet of the rows not used, with reasons")
    return parser.parse_args()


if __name__ == "__main__":
    main()
