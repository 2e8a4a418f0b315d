"""Run a script as a job of the workflow: it ends when Snakemake does, and has GPUs to itself.

python -m scripts.jobs.run_job --gpus 2 scripts.finetuning.finetune --base alpha ...
python -m scripts.jobs.run_job \
    --gpus 4 torchrun --standalone --nproc-per-node 4 -m scripts.finetuning.finetune --base alpha ...

Snakemake counts GPUs but names none, so that two jobs would meet on the first one. Here a job leases as many devices as
it asks for, all or none, and sees only these. A lease is a lock on a file per device, held by the job and by all that
inherit it: it is free when the last of them is gone, however they end. Jobs that wait stand in one line, so that one
that needs many devices is not passed by others that need few. The devices are those of CUDA_VISIBLE_DEVICES (numbers or
UUIDs) or else of nvidia-smi. A machine without a GPU, and a job of Slurm, which has its devices from there, lease
nothing; a job that asks for none sees none.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.jobs.parent_death import die_with_parent


def main():
    args = parse_args()
    die_with_parent()
    os.environ["PYTHONUTF8"] = "1"  # whatever the locale, files and logs are UTF-8
    if "SLURM_JOB_ID" not in os.environ:
        lease(args.gpus, devices(), lease_folder())
    program = args.command[0]
    command = [sys.executable, "-m", *args.command] if program.startswith("scripts.") else args.command
    os.execvp(command[0], command)


def devices() -> list[str]:
    """The devices that may be leased, by number or UUID; none on a machine without."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return told.stdout.split()


def lease_folder() -> Path:
    """Where the locks of this machine's devices are: one place for all studies of a user."""
    folder = Path(tempfile.gettempdir()) / f"gpu-leases-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def lease(n: int, names: list[str], folder: Path, pause: float = 0.2) -> None:
    """Lock n of the devices and let the job see only these. Exits where there are devices, but fewer than n."""
    if not names:
        return
    if n > len(names):
        sys.exit(f"this job asks for {n} GPUs, and {len(names)} are here ({','.join(names)}): see `gpus` in the config")
    held: list[tuple[str, int]] = []
    if n:
        line = open_lock(folder / "line")
        fcntl.flock(line, fcntl.LOCK_EX)  # whoever is first in line waits alone
        while len(held := try_all(names, folder)) < n:
            for _, lock in held:
                os.close(lock)
            time.sleep(pause)
        for _, lock in held[n:]:
            os.close(lock)
        os.close(line)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(name for name, _ in held[:n])


def try_all(names: list[str], folder: Path) -> list[tuple[str, int]]:
    """The devices that are free, each with its lock."""
    held = []
    for name in names:
        lock = open_lock(folder / f"{name.replace('/', '-')}.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append((name, lock))
        except BlockingIOError:
            os.close(lock)
    return held


def open_lock(path: Path) -> int:
    """A descriptor that programs started from here inherit."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    return lock


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=0, help="devices to lease")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        help="a script as a module (scripts.finetuning.finetune), or a program, with its arguments",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
