"""The declared outputs: written whole or not at all, checked row by row, and read with their checksums."""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow
import pyarrow.parquet


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write parquet, CSV or JSON lines (by the name's ending) beside `path`, flush to disk and rename into place.

    Parquet has a checksum in every page, which read_table looks at. Exits naming the path where the disk is full.
    """
    writers = {".parquet": write_parquet, ".csv": pl.DataFrame.write_csv, ".jsonl": pl.DataFrame.write_ndjson}
    unnamed = path.with_name(f".{path.name}.tmp")
    with room_for(unnamed, frame.estimated_size()):
        writers[path.suffix](frame, unnamed)
        with open(unnamed, "rb+") as file:
            os.fsync(file.fileno())
    os.replace(unnamed, path)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    pyarrow.parquet.write_table(frame.to_arrow(), path, compression="zstd", write_page_checksum=True)


@contextmanager
def room_for(path: Path, needed: int):
    """Writing `path` in this block removes what there is of it where it fails; exits with one line on a full disk."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:  # polars has a type of its own for it
        path.unlink(missing_ok=True)
        if "No space left" not in str(error):
            raise
        free = shutil.disk_usage(path.parent).free
        told = f"{free / 1e6:.1f} MB are free, up to {needed / 1e6:.1f} MB are needed"
        raise SystemExit(f"{path}: no space left: {told}; nothing is lost, the next run goes on from here") from None


def read_table(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """A parquet file of write_table. Exits naming one that is torn, or in which a bit has changed."""
    try:
        return pl.from_arrow(pyarrow.parquet.read_table(path, columns=columns, page_checksum_verification=True))
    except (OSError, pyarrow.ArrowException) as error:
        if isinstance(error, FileNotFoundError):
            raise SystemExit(f"{path}: no such file") from None
        cause = str(error).splitlines()[0]
        raise SystemExit(f"{path} is damaged ({cause}): delete it, and the next run makes it again") from None


NAMES = ("base", "teacher", "family", "metric", "metric_a", "metric_b", "smaller", "larger", "first")


def read_csv(path: Path) -> pl.DataFrame:
    """A CSV of write_table; names are texts, even where all of them look like numbers."""
    return pl.read_csv(path, infer_schema_length=None, schema_overrides=dict.fromkeys(NAMES, pl.String))


def write_json(value: dict, path: Path) -> None:
    """Write indented JSON beside `path` and rename it into place."""
    write_text(json.dumps(value, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text beside `path` and rename it into place. Exits naming the path where the disk is full."""
    unnamed = path.with_name(f".{path.name}.tmp")
    with room_for(unnamed, len(text)):
        unnamed.write_text(text, encoding="utf-8")
    os.replace(unnamed, path)


def check_rows(frame: pl.DataFrame, ids: Sequence[str], value: str) -> None:
    """Rows in = rows out: the ids in their order, and in each row either a value or a reason why there is none.

    Raises ValueError naming the first ids concerned.
    """
    if frame["id"].to_list() != list(ids):
        lost = [i for i in ids if i not in set(frame["id"])][:3]
        raise ValueError(f"{len(ids)} rows went in, {frame.height} came out; lost: {lost or 'none, but the order'}")
    silent = frame.filter(pl.col(value).is_null() & pl.col("reason").is_null())
    if silent.height:
        raise ValueError(f"{silent.height} rows have neither {value} nor a reason: {silent['id'].head(3).to_list()}")
