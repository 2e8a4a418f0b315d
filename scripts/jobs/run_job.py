r"""Run a script as a job of the workflow: it ends when Snakemake ends, and no other job uses its GPUs.

python -m scripts.jobs.run_job --gpus 2 scripts.finetuning.finetune --base alpha ...
python -m scripts.jobs.run_job \
    --gpus 4 torchrun --standalone --nproc-per-node 4 -m scripts.finetuning.finetune --base alpha ...

Snakemake counts GPUs but does not assign them: two jobs would use the first one. So each job locks as many devices as
it needs, all or none, and CUDA_VISIBLE_DEVICES names only these. A lock is on one file per device. The job and all its
child processes hold it; the kernel releases it when the last of them ends, even after kill -9. Waiting jobs form a
queue, so jobs that need few devices do not delay a job that needs many.

With --replicas n the script runs n times at once, each time on an n-th of the devices and for every n-th teacher or
pair (aligned.py). If one of them fails, the others are ended.

The devices are those in CUDA_VISIBLE_DEVICES (numbers or UUIDs), else those of nvidia-smi. Without a GPU, and in a job
of Slurm, which assigns devices itself, nothing is locked. A job with --gpus 0 sees no device.

On a machine without GPUs, a script does not start Python if fork_server.py can start it faster.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.jobs.forking import run_script
from scripts.jobs.parent_death import die_with_parent


def main():
    args = parse_args()
    die_with_parent()
    os.environ["PYTHONUTF8"] = "1"  # files and logs are UTF-8 in every locale
    if "SLURM_JOB_ID" not in os.environ:
        lock_devices(args.gpus, devices(), lock_folder())
    script = args.command[0].startswith("scripts.")
    command = [sys.executable, "-m", *args.command] if script else args.command
    if args.replicas > 1:
        sys.exit(run_replicas(command, args.replicas))
    if script and not os.environ.get("CUDA_VISIBLE_DEVICES") and (status := run_script(args.command)) is not None:
        sys.exit(status)
    os.execvp(command[0], command)


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
    """The folder of the lock files: the same for all studies of a user on this machine."""
    folder = Path(tempfile.gettempdir()) / f"gpu-leases-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def lock_devices(n: int, names: list[str], folder: Path, pause: float = 0.2) -> None:
    """Wait until n devices are free, lock them, and set CUDA_VISIBLE_DEVICES to them.

    Checks every `pause` seconds. Exits if the machine has GPUs, but fewer than n.
    """
    if not names:
        return
    if n > len(names):
        sys.exit(f"GPUs needed by this job: {n}; available: {len(names)} ({','.join(names)}). See `gpus` in the config")
    locks: list[tuple[str, int]] = []
    if n:
        queue = open_lock(folder / "queue")
        fcntl.flock(queue, fcntl.LOCK_EX)  # only the first job of the queue tries to lock devices
        while len(locks := lock_free_devices(names, folder)) < n:
            for _, lock in locks:
                os.close(lock)
            time.sleep(pause)
        for _, lock in locks[n:]:
            os.close(lock)
        os.close(queue)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(name for name, _ in locks[:n])


def lock_free_devices(names: list[str], folder: Path) -> list[tuple[str, int]]:
    """Lock every free device; name and descriptor of each lock."""
    locks = []
    for name in names:
        lock = open_lock(folder / f"{name.replace('/', '-')}.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locks.append((name, lock))
        except BlockingIOError:
            os.close(lock)
    return locks


def run_replicas(command: list[str], n: int) -> int:
    """Run a command n times at once, each with its share of the devices; 0, or the exit status of one that failed."""
    names = devices()
    share = len(names) // n
    replicas = []
    for i in range(n):
        own = {"REPLICA": f"{i}/{n}", "CUDA_VISIBLE_DEVICES": ",".join(names[i * share : (i + 1) * share])}
        replicas.append(subprocess.Popen(command, env=os.environ | own, preexec_fn=die_with_parent))
    while None in (found := [replica.poll() for replica in replicas]) and not any(found):
        time.sleep(0.2)
    for replica in replicas:
        replica.kill()  # one that has ended is left alone
    return next((status for status in found if status), 0)


def open_lock(path: Path) -> int:
    """A descriptor of a lock file; child processes inherit it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    return lock


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=0, help="number of GPUs to lock")
    parser.add_argument("--replicas", type=int, default=1, help="processes that share the GPUs and the work")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        help="a script as a module (scripts.finetuning.finetune) or another program, with its arguments",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
