"""One run at a time in a folder."""

import fcntl
import os
import socket
from pathlib import Path

from scripts.tables.text_files import exit_if_unwritable


def hold_run_lock(path: Path) -> None:
    """Lock the file until this process ends, and write host and process into it.

    The kernel releases the lock when the process ends, even after kill -9, so a lock is never left behind. Exits with
    the owner's host and process if another run holds the lock.
    """
    with exit_if_unwritable(path, 0):
        lock = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 200).decode().strip()
        raise SystemExit(f"another run is active in this folder: {owner}. Wait for its end, or stop it") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"host {socket.gethostname()}, process {os.getpid()}\n".encode())
