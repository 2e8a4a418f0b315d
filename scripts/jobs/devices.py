"""Lock the GPUs of a job, so that no two jobs use one.

Snakemake counts GPUs but does not assign them: two jobs would use the first one. So each job locks as many devices as
it needs, all or none, and CUDA_VISIBLE_DEVICES names only these. A lock is on one file per device. The job and all its
child processes hold it; the kernel releases it when the last of them ends, even after kill -9. Waiting jobs form a
queue, so jobs that need few devices do not delay a job that needs many.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path


def lock_devices(n: int, names: list[str], folder: Path, pause: float = 0.2) -> None:
    """Wait until n devices are free, lock them, and set CUDA_VISIBLE_DEVICES to them.

    Checks every `pause` seconds; says once which processes have the devices. Exits if the machine has GPUs, but fewer
    than n.
    """
    if not names:
        return
    if n > len(names):
        sys.exit(f"GPUs needed by this job: {n}; available: {len(names)} ({','.join(names)}). See `gpus` in the config")
    locks: list[tuple[str, int]] = []
    if n:
        queue = open_lock(folder / "queue")
        if not locked(queue):
            print(f"waiting for GPUs: {n} needed, behind another job that waits", file=sys.stderr, flush=True)
            fcntl.flock(queue, fcntl.LOCK_EX)  # only the first job of the queue tries to lock devices
        if len(locks := lock_free_devices(names, folder)) < n:
            print(f"waiting for GPUs: {n} needed. {holders(names, folder, locks)}", file=sys.stderr, flush=True)
        while len(locks) < n:
            for _, lock in locks:
                os.close(lock)
            time.sleep(pause)
            locks = lock_free_devices(names, folder)
        for _, lock in locks[n:]:
            os.close(lock)
        os.close(queue)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(name for name, _ in locks[:n])


def devices() -> list[str]:
    """Numbers or UUIDs of the GPUs that jobs may use; empty on a machine without GPUs."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []


def lock_folder() -> Path:
    """The folder of the lock files: the same for all studies of a user on this machine, or in an allocation of Slurm.

    Slurm may count the devices of each allocation from 0.
    """
    allocation = os.environ.get("SLURM_JOB_ID", "")
    folder = Path(tempfile.gettempdir()) / "-".join(filter(None, ["gpu-leases", str(os.getuid()), allocation]))
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def lock_free_devices(names: list[str], folder: Path) -> list[tuple[str, int]]:
    """Lock every free device; name and descriptor of each lock."""
    locks = []
    for name in names:
        lock = open_lock(lock_file(folder, name))
        if locked(lock):
            locks.append((name, lock))
        else:
            os.close(lock)
    return locks


def holders(names: list[str], folder: Path, free: list[tuple[str, int]]) -> str:
    """Which processes have the lock file of which device that is not free; of this user's processes, on Linux."""
    held: dict[str, list[str]] = {}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # ended meanwhile, or of another user
            held.setdefault(os.readlink(descriptor), []).append(descriptor.parts[2])
    found = {name: held.get(str(lock_file(folder, name)), []) for name in names if name not in dict(free)}
    return "; ".join(f"{name} is held by process {', '.join(pids)}" for name, pids in found.items() if pids)


def lock_file(folder: Path, device: str) -> Path:
    return folder / f"{device.replace('/', '-')}.lock"


def open_lock(path: Path) -> int:
    """A descriptor of a lock file; child processes inherit it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    return lock


def locked(lock: int) -> bool:
    """Lock a file that no other process has locked; whether it succeeded."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
