"""Where a fine-tuning that was cut off goes on: the trainer's checkpoints, of which only whole ones count."""

import fcntl
import shutil
import time
from pathlib import Path

import torch
from transformers import TrainerCallback

WHOLE = "whole"  # an empty file, written into a checkpoint when all of it is there


class SaveByTheClock(TrainerCallback):
    """Asks for a checkpoint when so many minutes have passed, and marks it once it is whole."""

    def __init__(self, minutes: float):
        self.seconds, self.last = 60 * minutes, time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        due = torch.tensor(int(time.monotonic() - self.last >= self.seconds), device=args.device)
        if args.world_size > 1:  # saving takes all processes: only the first one's clock counts
            torch.distributed.broadcast(due, 0)
        if due and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        self.last = time.monotonic()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()


def last_whole(folder: Path) -> str | None:
    """The checkpoint with the most steps that was written to its end."""
    whole = [path for path in folder.glob("checkpoint-*") if (path / WHOLE).exists()]
    return str(max(whole, key=lambda path: int(path.name.partition("-")[2]))) if whole else None


def only_writer(folder: Path):
    """A lock on a training's folder for as long as the result lives; folders of other trainings beside it are removed.

    Exits where another process trains here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder.parent / "lock", "a", encoding="utf-8")  # noqa: SIM115 (held by the caller)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"{folder}: another job is training here") from None
    for other in folder.parent.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    return lock
