"""Write JSON and other texts, completely or not at all. Each run of the workflow loads this, so it needs no library."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path


def write_json(value: dict, path: Path) -> None:
    """Write indented JSON to a temporary file and rename it."""
    write_text(json.dumps(value, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text to a temporary file and rename it. Exits naming the path if the disk is full."""
    temporary = path.with_name(f".{path.name}.tmp")
    with exit_if_disk_full(temporary, len(text)):
        temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


@contextmanager
def exit_if_disk_full(path: Path, needed: int):
    """If writing `path` fails in the block, remove the file; exit with one line if the disk is full.

    `needed` is the approximate size of the file in bytes, for the message.
    """
    try:
        yield
    except Exception as error:  # polars has an exception of its own
        path.unlink(missing_ok=True)
        if "No space left" not in str(error):
            raise
        free = shutil.disk_usage(path.parent).free
        sizes = f"{free / 1e6:.1f} MB free, up to {needed / 1e6:.1f} MB needed"
        advice = "free some space and run again; finished work is kept"
        raise SystemExit(f"{path}: no space left on the disk ({sizes}): {advice}") from None
