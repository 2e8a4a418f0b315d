"""One run at a time in a folder."""

import fcntl
import os
import socket
from pathlib import Path


def hold_run_lock(path: Path) -> None:
    """Lock the file for as long as this process lives, and write down who holds it.

    The kernel lets go of it when the process ends, however it ends: no lock is ever stale. Exits naming the host and
    process that hold it.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another run is at work in this folder: {os.read(lock, 200).decode().strip()}") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"host {socket.gethostname()}, process {os.getpid()}\n".encode())
