"""What a study has spent on endpoints: one number in one file, shared by all jobs of the study."""

import fcntl
import os
from pathlib import Path


def book(path: Path, usd: float, budget: float | None = None) -> bool:
    """Add US dollars to the ledger and return True; return False, adding nothing, if the sum would exceed the budget.

    The number is overwritten in one call, so a killed job leaves either the old number or the new one.
    """
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        total = spent(path) + usd
        if budget is not None and usd > 0 and total > budget:
            return False
        os.pwrite(file.fileno(), f"{total:24.9f}\n".encode(), 0)
    return True


def spent(path: Path) -> float:
    """US dollars in the ledger. A request counts with its maximum cost while it runs, or if its job was killed."""
    return float(path.read_text(encoding="utf-8") or 0) if path.exists() else 0.0
