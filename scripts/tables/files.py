"""Read and write tables: written completely or not at all, checked row by row, read with checksums."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow
import pyarrow.parquet

from scripts.tables.text_files import exit_if_unwritable


def write_table(frame: pl.DataFrame, path: Path, computed_from: dict[str, str] | None = None) -> None:
    """Write parquet, CSV or JSON lines (by the suffix of `path`) to a temporary file, flush it and rename it.

    Parquet gets a checksum in every page, which read_table verifies, and what it was computed from (identity.py). Exits
    naming the path if it cannot be written.
    """
    parquet = partial(write_parquet, metadata={"computed_from": json.dumps(computed_from or {}, sort_keys=True)})
    writers = {".parquet": parquet, ".csv": pl.DataFrame.write_csv, ".jsonl": pl.DataFrame.write_ndjson}
    temporary = path.with_name(f".{path.name}.tmp")
    with exit_if_unwritable(temporary, frame.estimated_size()):
        writers[path.suffix](frame, temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
    os.replace(temporary, path)


def write_parquet(frame: pl.DataFrame, path: Path, metadata: dict[str, str]) -> None:
    table = frame.to_arrow().replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_table(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """Read a parquet file of write_table. Exits naming the file if it is truncated or has a changed bit."""
    try:
        return pl.from_arrow(pyarrow.parquet.read_table(path, columns=columns, page_checksum_verification=True))
    except (OSError, pyarrow.ArrowException) as error:
        if isinstance(error, FileNotFoundError):
            raise SystemExit(f"{path}: no such file") from None
        cause = str(error).splitlines()[0]
        raise SystemExit(f"{path} is damaged ({cause}): delete it and run again to rebuild it") from None


NAME_COLUMNS = ("base", "teacher", "family", "metric", "metric_a", "metric_b", "smaller", "larger")
NAME_COLUMNS += ("first", "best", "tied", "teacher_a", "teacher_b")


def read_csv(path: Path) -> pl.DataFrame:
    """Read a CSV of write_table. Names are strings, even if all of them look like numbers."""
    return pl.read_csv(path, infer_schema_length=None, schema_overrides=dict.fromkeys(NAME_COLUMNS, pl.String))


def check_rows(frame: pl.DataFrame, ids: Sequence[str], value: str) -> None:
    """Check that no row was lost: the same ids in the same order, and in each row a value or a reason why it is null.

    Raises ValueError naming the first ids affected.
    """
    if frame["id"].to_list() != list(ids):
        lost = [i for i in ids if i not in set(frame["id"])][:3]
        difference = f"lost: {lost}" if lost else "the ids differ or are in another order"
        raise ValueError(f"rows in: {len(ids)}, rows out: {frame.height}; {difference}")
    unexplained = frame.filter(pl.col(value).is_null() & pl.col("reason").is_null())
    if unexplained.height:
        ids = unexplained["id"].head(3).to_list()
        raise ValueError(f"rows with neither {value} nor a reason: {unexplained.height}, such as {ids}")
