r"""Run a script as a job of the workflow: it ends when Snakemake ends, and no other job uses its GPUs.

python -m scripts.jobs.run_job --gpus 2 scripts.finetuning.finetune --base alpha ...
python -m scripts.jobs.run_job \
    --gpus 4 torchrun --standalone --nproc-per-node 4 -m scripts.finetuning.finetune --base alpha ...

When Snakemake ends, also by kill -9, or the job fails, its processes are killed: all that it has started, such as the
workers of an engine, also those in sessions of their own.

Each job locks as many GPUs as it needs (devices.py), all or none, and CUDA_VISIBLE_DEVICES names only these.

With --replicas n the script runs n times at once, each time on an n-th of the devices and for every n-th teacher or
pair (aligned.py). If one of them fails, the others are ended.

The devices are those in CUDA_VISIBLE_DEVICES (numbers or UUIDs), else those of nvidia-smi. Nothing is locked without a
GPU, and in a job that Snakemake has sent to a cluster, which assigns devices itself (the Snakefile then sets
DEVICES_ASSIGNED). A job with --gpus 0 sees no device.

On a machine without GPUs, a script does not start Python if fork_server.py can start it faster.
"""

import argparse
import os
import signal
import subprocess
import sys
import time

from scripts.jobs.descendants import adopt_orphans, die_with_parent, end_descendants
from scripts.jobs.devices import devices, lock_devices, lock_folder
from scripts.jobs.forking import run_script


def main():
    args = parse_args()
    for ending in (signal.SIGTERM, signal.SIGINT):  # the new line ends one of a progress bar
        signal.signal(ending, lambda *_: sys.exit("\nended: the run was stopped"))
    die_with_parent(signal.SIGTERM)
    os.environ["PYTHONUTF8"] = "1"  # files and logs are UTF-8 in every locale
    if "DEVICES_ASSIGNED" not in os.environ:
        lock_devices(args.gpus, devices(), lock_folder())
    script = args.command[0].startswith("scripts.")
    command = [sys.executable, "-m", *args.command] if script else args.command
    status = None
    if script and args.replicas == 1 and not os.environ.get("CUDA_VISIBLE_DEVICES"):
        status = run_script(args.command)
    if status is None:
        status = run(command, args.replicas)
    if status == 128 + signal.SIGKILL:
        print("\nkilled by SIGKILL: did the machine, or the job's mem_mb, have too little memory?", file=sys.stderr)
    sys.exit(status)


def run(command: list[str], replicas: int) -> int:
    """Run a command, or several at once, each with its share of the devices; 0, or the exit status of one that failed.

    At the end, however it comes, none of its processes is left.
    """
    names = devices()
    share = len(names) // replicas
    adopt_orphans()
    try:
        started = []
        for i in range(replicas):
            own = {"CUDA_VISIBLE_DEVICES": ",".join(names[i * share : (i + 1) * share]), "REPLICA": f"{i}/{replicas}"}
            environment = os.environ | (own if replicas > 1 else {})
            started.append(subprocess.Popen(command, env=environment, close_fds=False, preexec_fn=die_with_parent))
        return status_of(started)
    finally:
        end_descendants()


def status_of(started: list[subprocess.Popen]) -> int:
    """Wait until all processes have ended, or one has failed; its exit status as a shell says it, or 0."""
    while None in (found := [process.poll() for process in started]) and not any(found):
        if len(started) == 1:
            started[0].wait()
        else:
            time.sleep(0.2)
    status = next((status for status in found if status), 0)
    return status if status >= 0 else 128 - status


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
