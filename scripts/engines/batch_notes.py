"""Notes of batches, beside the stored rows: which rows a batch has, so that none of them is sent and paid twice.

A note is written before its batch is created, without `batch`, the id, and once more with it. Its `key` is in the
batch's metadata. `reserved_usd` is booked until the batch has ended.
"""

import json
import time
from pathlib import Path
from uuid import uuid4

from scripts.tables.text_files import write_text


def new_note(base_url: str, rows: list[str], usd: float) -> dict:
    note = {"key": uuid4().hex, "batch": None, "base_url": base_url, "time": time.time()}
    return note | {"reserved_usd": usd, "rows": rows}


def read_notes(folder: Path, rows: set[str], base_url: str) -> list[dict]:
    """The notes that have some of the rows. Exits if one is of a batch at another address, where it is to be read."""
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("batch-*.json"))]
    notes = [note for note in notes if rows & set(note["rows"])]
    for note in notes:
        if note["base_url"] != base_url:
            raise SystemExit(
                f"a batch with these rows is at {note['base_url']}: set this base_url until the batch has ended, "
                f"or delete {path_of(note, folder)} to ask and pay its rows again"
            )
    return notes


def write_note(note: dict, folder: Path) -> None:
    """Write a note; one without rows is removed."""
    if note["rows"]:
        write_text(json.dumps(note), path_of(note, folder))
    else:
        path_of(note, folder).unlink(missing_ok=True)


def path_of(note: dict, folder: Path) -> Path:
    return folder / f"batch-{note['key']}.json"
