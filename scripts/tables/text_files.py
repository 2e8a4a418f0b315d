"""Write JSON and other texts, completely or not at all. Each run of the workflow loads this, so it needs no library."""

import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path


def write_json(value: dict, path: Path) -> None:
    """Write indented JSON to a temporary file and rename it."""
    write_text(json.dumps(value, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text to a temporary file and rename it. Exits naming the path if it cannot be written."""
    temporary = path.with_name(f".{path.name}.tmp")
    with exit_if_unwritable(temporary, len(text)):
        temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


@contextmanager
def exit_if_unwritable(path: Path, needed: int):
    """If writing `path` fails in the block, remove the file; exit with one line if the disk or a right is the cause.

    `needed` is the approximate size of the file in bytes, for the message.
    """
    try:
        yield
    except Exception as error:  # polars has an exception of its own
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if (cause := next((cause for text, cause in CAUSES.items() if text in str(error)), None)) is None:
            raise
        raise SystemExit(f"{path}: {cause(path, needed)}") from None


def full_disk(path: Path, needed: int) -> str:
    found = os.statvfs(path.parent)
    if found.f_files and not found.f_favail:
        return "no more files fit on the disk (no free inodes): delete some and run again; finished work is kept"
    sizes = f"{found.f_bavail * found.f_frsize / 1e6:.1f} MB free, up to {needed / 1e6:.1f} MB needed"
    return f"no space left on the disk ({sizes}): free some space and run again; finished work is kept"


def full_quota(path: Path, needed: int) -> str:
    return (
        "your disk quota of bytes or files is used up (see `quota -s`): free some and run again; finished work is kept"
    )


def no_right(path: Path, needed: int) -> str:
    advice = "get it, or run in a folder of your own"
    for folder in path.absolute().parents:
        with suppress(OSError):  # it does not exist, or cannot be seen
            return f"no right to write into {folder} of user {folder.stat().st_uid}: {advice}"
    return f"no right to write: {advice}"


def read_only(path: Path, needed: int) -> str:
    return "the file system is read-only: run in a folder on another one"


CAUSES = {  # texts of the operating system, also within errors of other libraries
    "No space left": full_disk,
    "Disk quota exceeded": full_quota,
    "Permission denied": no_right,
    "Read-only file system": read_only,
}
