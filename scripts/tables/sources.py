"""Tables that a config names: local files and Hugging Face datasets, of which only the needed columns are read."""

import hashlib
from pathlib import Path

import datasets
import httpx2
import polars as pl

LOADERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
BATCH = 1000  # rows of the needed columns that are in memory at a time

datasets.disable_progress_bars()


def read_source(source: dict) -> datasets.Dataset:
    """The rows of a local file or of a Hugging Face dataset; exits with one line if they cannot be read.

    source: path, or dataset with file (one file of its repository, or None), split and revision.
    """
    path = source.get("path") or source["dataset"]
    if "path" in source and Path(path).suffix != ".parquet":
        refuse_other_encodings(Path(path))
    try:
        if "dataset" in source and not source["file"]:
            return datasets.load_dataset(path, split=source["split"], revision=source["revision"])
        if "dataset" in source:
            path = f"hf://datasets/{path}@{source['revision'] or 'main'}/{source['file']}"
        return datasets.load_dataset(LOADERS[Path(path).suffix], data_files=path, split="train")
    except datasets.exceptions.DatasetGenerationError as error:
        raise SystemExit(f"{path}: {str(error.__cause__ or error).splitlines()[0]}") from error
    except (OSError, ValueError, httpx2.HTTPError) as error:  # no such dataset or split, or the hub cannot be reached
        raise SystemExit(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def refuse_other_encodings(path: Path) -> None:
    """Exit naming the first line that is not UTF-8: `datasets` would read wrong text without an error."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise SystemExit(f"{path}, line {number}: not UTF-8 ({error.reason}): save the file as UTF-8") from None


def read_texts(source: dict) -> pl.DataFrame:
    """The columns of a source as texts (see as_text). source: as for read_source, with columns and maybe match."""
    table = read_columns(read_source(source), source["columns"], source.get("match"))
    return table.select(as_text(column) for column in table)


def read_columns(dataset: datasets.Dataset, columns: dict, match: dict | None = None) -> pl.DataFrame:
    """The columns of a dataset under the names that the workflow uses.

    `columns` maps these names to a column of the dataset, or to the steps to a value inside one: ["gemma", "content"].
    `match` maps columns of the dataset to values: only rows with these values are read. Exits naming columns that the
    dataset does not have.
    """
    match = match or {}
    steps_of = {name: [column] if isinstance(column, str) else column for name, column in columns.items()}
    needed = sorted({steps[0] for steps in steps_of.values()} | set(match))
    missing = [name for name in needed if name not in dataset.column_names]
    if missing:
        raise SystemExit(f"no column {', '.join(missing)}: the source has {', '.join(dataset.column_names)}")
    frames = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))] if not dataset.num_rows else []
    for batch in dataset.select_columns(needed).with_format("arrow").iter(BATCH):
        frame = pl.from_arrow(batch)
        for name, value in match.items():
            frame = frame.filter(pl.col(name).cast(pl.String) == str(value))
        frames.append(pl.DataFrame([nested_values(frame, steps).alias(name) for name, steps in steps_of.items()]))
    return pl.concat(frames)


def nested_values(frame: pl.DataFrame, steps: list) -> pl.Series:
    """The values of a column, or inside one, by the field of a struct (a name) or the item of a list (a number).

    The value is null if a list is too short. Exits naming a step that the column does not have.
    """
    values = frame[steps[0]]
    for i, step in enumerate(steps[1:], 1):
        if isinstance(step, int) and isinstance(values.dtype, pl.List):
            values = values.list.get(step, null_on_oob=True)
        elif isinstance(values.dtype, pl.Struct) and step in values.struct.fields:
            values = values.struct.field(step)
        else:
            raise SystemExit(f"no {step} in column {' > '.join(map(str, steps[:i]))}, which is a {values.dtype}")
    return values


def as_text(values: pl.Series) -> pl.Series:
    """Texts unchanged, numbers as text; null for anything else (lists, structs)."""
    if values.dtype == pl.String or values.dtype.is_numeric():
        return values.cast(pl.String)
    return pl.Series(values.name, [None] * len(values), pl.String)


def normal(text: pl.Series) -> pl.Series:
    """Unicode NFC, line feeds as newlines, no outer white space: how instructions are stored and compared."""
    return text.str.normalize("NFC").str.replace_all("\r\n?", "\n").str.strip_chars()


def content_id(instruction: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of an instruction."""
    return hashlib.sha256(instruction.encode()).hexdigest()[:16]
