"""The local files that a `path` of the configuration names, their formats, and how they are opened."""

import codecs
import glob
import io
import os
from collections.abc import Iterator
from pathlib import Path

from scripts.tables.names import nearest

FORMATS = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".tsv": "tsv"}
FORMATS |= {".parquet": "parquet", ".arrow": "arrow"}
COMPRESSED = (".gz", ".zst")  # JSON, CSV and TSV
METADATA = {"dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json"}  # of `datasets`


def files_of(path: str | list[str]) -> list[str]:
    """The files of a path: a file, a folder with files of one format, a pattern such as data/*.jsonl, or a list.

    What exists is never read as a pattern, whatever characters it has. The files of a folder or pattern are in the
    order of their names. Raises ValueError with one line that says what does not exist or cannot be read.
    """
    paths = [path] if isinstance(path, str) else path
    return list(dict.fromkeys(os.path.normpath(file) for one in paths for file in files_of_one(one)))


def files_of_one(path: str) -> list[str]:
    if Path(path).is_dir():
        return files_in_folder(Path(path))
    files = [path] if Path(path).is_file() else sorted(filter(os.path.isfile, glob.glob(path, recursive=True)))
    if not files and glob.has_magic(path):
        raise ValueError(f"no file matches {path}")
    if not files:
        folder = Path(path).parent
        names = [str(folder / entry.name) for entry in folder.iterdir()] if folder.is_dir() else []
        near = nearest(path, names)
        raise ValueError(f"no file {path}{near if 'mean' in near else ''}")
    for file in files:
        if not format_of(file):
            raise ValueError(f"{file} has no format that can be read: a name ends in {', '.join(FORMATS)}")
    return files


def files_in_folder(folder: Path) -> list[str]:
    """The data files of a folder, without those in its folders; other files, such as a README.md, do not count."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    names = [name for name in names if format_of(name) and name not in METADATA]
    formats = sorted({format_of(name) for name in names})
    if not names:
        raise ValueError(f"no data file in the folder {folder}: for those in its folders write {folder}/**/*.parquet")
    if len(formats) > 1:
        raise ValueError(f"the folder {folder} has files of several formats ({', '.join(formats)}): write {folder}/*.…")
    return [str(folder / name) for name in names]


def format_of(path: str) -> str | None:
    """json, csv, tsv, parquet or arrow, by the end of a file's name; None if it is another one."""
    stem, end = os.path.splitext(path.lower())
    if end in COMPRESSED:
        format_inside = FORMATS.get(os.path.splitext(stem)[1])
        return format_inside if format_inside in ("json", "csv", "tsv") else None
    return FORMATS.get(end)


def name_of(source: dict) -> str:
    """A source in messages: its path, or the name of its data set."""
    path = source.get("path") or "/".join(filter(None, [source["dataset"], source.get("file")]))
    return path if isinstance(path, str) else ", ".join(path)


def open_bytes(path: str) -> io.BufferedReader:
    """The bytes of a text file, decompressed, without the mark that some editors write before UTF-8."""
    if os.path.splitext(path.lower())[1] in COMPRESSED:
        import pyarrow  # large; each run of the workflow loads this module

        file = io.BufferedReader(pyarrow.input_stream(path, compression="detect"))
    else:
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
    if file.peek(3)[:3] == codecs.BOM_UTF8:
        file.read(3)
    return file


def decoded_lines(lines, path: str) -> Iterator[str]:
    """The lines of a file as text; exits naming the first one that is not UTF-8."""
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(path, number, error) from None


def not_utf8(path: str, line: int, error: UnicodeDecodeError) -> SystemExit:
    return SystemExit(f"{path}, line {line}: not UTF-8 ({error.reason}): save the file as UTF-8")
