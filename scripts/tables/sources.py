"""Tables that a config names: a local file or a Hugging Face dataset, read batch by batch and only where needed."""

import hashlib
from pathlib import Path

import datasets
import httpx2
import polars as pl

LOADERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
BATCH = 1000  # rows in memory at a time with all that stands in the columns asked for

datasets.disable_progress_bars()


def read_source(spec: dict) -> datasets.Dataset:
    """The rows of a local file or of a Hugging Face dataset; exits with one line where they cannot be read.

    spec: path, or dataset with file (one file of its repository, or None), split and revision.
    """
    path = spec.get("path") or spec["dataset"]
    if "path" in spec and Path(path).suffix != ".parquet":
        refuse_other_encodings(Path(path))
    try:
        if "dataset" in spec and not spec["file"]:
            return datasets.load_dataset(path, split=spec["split"], revision=spec["revision"])
        if "dataset" in spec:
            path = f"hf://datasets/{path}@{spec['revision'] or 'main'}/{spec['file']}"
        return datasets.load_dataset(LOADERS[Path(path).suffix], data_files=path, split="train")
    except datasets.exceptions.DatasetGenerationError as error:
        raise SystemExit(f"{path}: {str(error.__cause__ or error).splitlines()[0]}") from error
    except (OSError, ValueError, httpx2.HTTPError) as error:  # no such dataset or split, or the hub is out of reach
        raise SystemExit(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def refuse_other_encodings(path: Path) -> None:
    """Exit naming the first line that is not UTF-8: `datasets` would read it as something else in silence."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise SystemExit(f"{path}, line {number}: not UTF-8 ({error.reason}): save the file as UTF-8") from None


def read_columns(source: datasets.Dataset, columns: dict, match: dict | None = None) -> pl.DataFrame:
    """The named columns, each by its name in the source or the way to a value inside one: ["gemma", "content"].

    `match` keeps the rows that have these values in these columns. Exits naming columns the source does not have.
    """
    match = match or {}
    ways = {name: [way] if isinstance(way, str) else way for name, way in columns.items()}
    needed = sorted({way[0] for way in ways.values()} | set(match))
    missing = [name for name in needed if name not in source.column_names]
    if missing:
        raise SystemExit(f"no column {', '.join(missing)}: the source has {', '.join(source.column_names)}")
    frames = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))] if not source.num_rows else []
    for batch in source.select_columns(needed).with_format("arrow").iter(BATCH):
        frame = pl.from_arrow(batch)
        for name, value in match.items():
            frame = frame.filter(pl.col(name).cast(pl.String) == str(value))
        frames.append(pl.DataFrame([follow(frame, way).alias(name) for name, way in ways.items()]))
    return pl.concat(frames)


def follow(frame: pl.DataFrame, way: list) -> pl.Series:
    """The value at the end of a way through structs (by name) and lists (by number); null where a list is too short."""
    values = frame[way[0]]
    for i, step in enumerate(way[1:], 1):
        if isinstance(step, int) and isinstance(values.dtype, pl.List):
            values = values.list.get(step, null_on_oob=True)
        elif isinstance(values.dtype, pl.Struct) and step in values.struct.fields:
            values = values.struct.field(step)
        else:
            raise SystemExit(f"no {step} in column {' > '.join(map(str, way[:i]))}, which is a {values.dtype}")
    return values


def as_text(values: pl.Series) -> pl.Series:
    """Texts as they are, numbers as written, anything else (lists, structs) null."""
    if values.dtype == pl.String or values.dtype.is_numeric():
        return values.cast(pl.String)
    return pl.Series(values.name, [None] * len(values), pl.String)


def normal(text: pl.Series) -> pl.Series:
    """Unicode NFC, one kind of newline, no outer white space: how instructions are stored and compared."""
    return text.str.normalize("NFC").str.replace_all("\r\n?", "\n").str.strip_chars()


def content_id(instruction: str) -> str:
    return hashlib.sha256(instruction.encode()).hexdigest()[:16]
