"""Rows of a data set of the Hugging Face hub."""

from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice

import datasets
import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.utils import disable_progress_bars

from scripts.tables.arrow_rows import BATCH, rows_of_batch
from scripts.tables.columns import Asked
from scripts.tables.names import nearest

datasets.disable_progress_bars()
disable_progress_bars()


def hub_rows(source: dict, asked: Asked, first: int | None) -> Iterator[dict]:
    """The asked columns of each row. first: only so many rows are fetched. Exits naming what the hub does not have."""
    name, where = source["dataset"], label(source)
    try:
        rows = datasets.load_dataset(
            name, source.get("subset"), split=source["split"], revision=source["revision"], streaming=bool(first)
        )
        asked.refuse_missing(where, rows.column_names or ())
        if first:
            for row in islice(rows, first):
                asked.seen |= dict.fromkeys(row)
                yield row
            return
        for batch in rows.select_columns(asked.needed).with_format("arrow").iter(BATCH):
            yield from rows_of_batch(batch, asked)
    except datasets.exceptions.DatasetGenerationError as error:
        advice = "name its file by `file`, which is read without guessing types"
        raise SystemExit(f"{where}: {one_line(error.__cause__ or error)}: {advice}") from error
    except (OSError, ValueError, httpx2.HTTPError) as error:  # no such data set or split, or the hub cannot be reached
        advice = ": name one by `subset`" if "Config name is missing" in str(error) else ""
        raise SystemExit(f"{where}: cannot be read: {one_line(error)}{advice}") from error


def hub_files(source: dict) -> list[str]:
    """The files of the repository that `file` names (a path, or a pattern), downloaded, as paths here."""
    name, pattern, revision = source["dataset"], source["file"], source["revision"]
    try:
        listed = HfApi().list_repo_files(name, repo_type="dataset", revision=revision)
        files = [pattern] if pattern in listed else sorted(file for file in listed if fnmatch(file, pattern))
        if not files:
            raise SystemExit(f"{label(source)}: no such file{nearest(pattern, listed)}")
        folder = snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=files)
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise SystemExit(f"{label(source)}: cannot be read: {one_line(error)}") from error
    return [f"{folder}/{file}" for file in files]


def label(source: dict) -> str:
    """The name of a data set in messages: acme/questions, acme/questions/test.csv."""
    return "/".join(filter(None, [source["dataset"], source.get("file")]))


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
