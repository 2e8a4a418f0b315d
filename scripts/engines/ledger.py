"""What a study has spent on endpoints: one number in one file, kept by all of its jobs together."""

import fcntl
import os
from pathlib import Path


def book(path: Path, usd: float, budget: float | None = None) -> bool:
    """Add US dollars to what is spent, unless more than the budget would be; whether they were added.

    Written by one call in place, so that a killed job leaves either the old number or the new one.
    """
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        total = spent(path) + usd
        if budget is not None and usd > 0 and total > budget:
            return False
        os.pwrite(file.fileno(), f"{total:24.9f}\n".encode(), 0)
    return True


def spent(path: Path) -> float:
    """US dollars booked so far; those of requests that are under way, or were when a job was killed, in full."""
    return float(path.read_text(encoding="utf-8") or 0) if path.exists() else 0.0
