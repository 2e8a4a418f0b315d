"""Tables that a configuration names, local files or data sets of the Hugging Face hub, as texts."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

import polars as pl
import pyarrow

from scripts.tables.arrow_rows import arrow_rows, parquet_rows
from scripts.tables.columns import Asked
from scripts.tables.csv_rows import csv_rows
from scripts.tables.json_rows import json_rows
from scripts.tables.source_files import files_of, format_of, name_of

READERS = {"json": json_rows, "csv": csv_rows, "tsv": csv_rows, "parquet": parquet_rows, "arrow": arrow_rows}
BATCH = 1000  # rows that become a part of the table at a time


def read_texts(source: dict, first: int | None = None) -> pl.DataFrame:
    """The asked columns of a source under the workflow's names, every cell as the text in the file, or null.

    source: path (of a file, a folder, a pattern or a list of them) or dataset (with file, subset, split, revision);
    columns; and match, columns with the value that a row must have. first: read only about so many rows.

    Numbers, booleans and dates are the text in the file; lists and objects are compact JSON. Exits with one
    line that names file, line or row, and column, if something cannot be read, a column is in no row or no row matches.
    """
    asked, where = Asked(source["columns"], source.get("match") or {}), name_of(source)
    rows = islice((asked.texts(row) for row in rows_of(source, asked, first) if asked.matches(row)), first)
    frames = [frame_of([], asked)]
    while batch := list(islice(rows, BATCH)):
        frames.append(frame_of(batch, asked))
    asked.refuse_missing(where)
    asked.refuse_unfound(where)
    asked.refuse_other_roles(where)
    table = pl.concat(frames)
    if asked.match and not table.height and not (first and "dataset" in source):
        raise SystemExit(f"{where}: no row has {asked.wanted()}")
    return table


def rows_of(source: dict, asked: Asked, first: int | None) -> Iterator[dict]:
    """The rows of all files of a source, with at least the asked columns. first: the rows to fetch from the hub."""
    if "dataset" in source:
        from scripts.tables.hub_rows import hub_files, hub_rows  # loads a large library, which local files do not need

        if not source.get("file"):
            yield from hub_rows(source, asked, first)
            return
        files = hub_files(source)
    else:
        files = local_files(source)
    for file in files:
        try:
            yield from READERS[format_of(file)](file, asked)
        except (OSError, pyarrow.ArrowException) as error:
            raise SystemExit(f"{file}: cannot be read: {' '.join(str(error).split())}") from error


def local_files(source: dict) -> list[str]:
    try:
        return files_of(source["path"])
    except ValueError as error:
        raise SystemExit(str(error)) from None


def frame_of(rows: list[list[str | None]], asked: Asked) -> pl.DataFrame:
    cells = list(zip(*rows, strict=True)) or [[] for _ in asked.columns]
    return pl.DataFrame([series_of(name, texts) for name, texts in zip(asked.columns, cells, strict=True)])


def series_of(name: str, texts: Sequence[str | None]) -> pl.Series:
    """A series of texts. Half of a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return pl.Series(name, texts, pl.String)
    except UnicodeEncodeError:
        whole = (text and text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts)
        return pl.Series(name, list(whole), pl.String)


def normal(text: pl.Series) -> pl.Series:
    """Unicode NFC, line feeds as newlines, no outer white space: how instructions are stored and compared."""
    return text.str.normalize("NFC").str.replace_all("\r\n?", "\n").str.strip_chars()


def content_id(instruction: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of an instruction."""
    return hashlib.sha256(instruction.encode()).hexdigest()[:16]
