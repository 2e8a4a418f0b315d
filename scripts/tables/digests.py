"""SHA-256 of values and files. That of a large file is computed once and cached."""

import hashlib
import json
from pathlib import Path

from scripts.tables.text_files import write_json

CACHE = Path(".snakemake/digests")  # next to Snakemake's own records
LARGE = 16 * 2**20  # bytes; smaller files are read each time


def digest(value) -> str:
    """SHA-256 of a value that JSON can represent, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file, which is always read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_input(path: Path) -> str:
    """SHA-256 of a user's file; a large one is read again only if its size, one of its times or its inode has changed.

    A copy over the file can set the modification time and keep size and inode, but not the time of change.
    """
    status = path.stat()
    if status.st_size < LARGE:
        return sha256(path)
    state = [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    record = CACHE / f"{digest(state[0])[:24]}.json"
    if record.exists() and (cached := json.loads(record.read_text(encoding="utf-8")))["state"] == state:
        return cached["sha256"]
    value = sha256(path)
    CACHE.mkdir(parents=True, exist_ok=True)
    write_json({"state": state, "sha256": value}, record)
    return value
