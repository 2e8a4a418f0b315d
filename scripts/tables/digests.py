"""SHA-256 of values and of files; that of a large file is computed once."""

import hashlib
import json
from pathlib import Path

from scripts.tables.files import write_json

KEPT = Path(".snakemake/digests")  # where Snakemake's own records are
LARGE = 16 * 2**20  # bytes; a smaller file is read each time


def digest(value) -> str:
    """SHA-256 of a JSON-able value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Of a file, read now."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_input(path: Path) -> str:
    """Of a file that others made; a large one is read again only when its size, time or inode has changed."""
    found = path.stat()
    if found.st_size < LARGE:
        return sha256(path)
    state = [str(path.resolve()), found.st_size, found.st_mtime_ns, found.st_ino]
    record = KEPT / f"{digest(state[0])[:24]}.json"
    if record.exists() and (kept := json.loads(record.read_text(encoding="utf-8")))["state"] == state:
        return kept["sha256"]
    value = sha256(path)
    KEPT.mkdir(parents=True, exist_ok=True)
    write_json({"state": state, "sha256": value}, record)
    return value
