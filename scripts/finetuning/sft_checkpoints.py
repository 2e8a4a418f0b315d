"""Checkpoints from which an interrupted fine-tuning resumes. Only complete ones are used."""

import fcntl
import shutil
import time
from pathlib import Path

import torch
from transformers import TrainerCallback

COMPLETE = "whole"  # name of an empty file, written into a checkpoint after all of its other files


class SaveAtIntervals(TrainerCallback):
    """Requests a checkpoint when `minutes` have passed since the last one, and marks it when it is complete."""

    def __init__(self, minutes: float):
        self.seconds, self.last = 60 * minutes, time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        due = torch.tensor(int(time.monotonic() - self.last >= self.seconds), device=args.device)
        if args.world_size > 1:  # all processes must save at the same step: the clock of the first one decides
            torch.distributed.broadcast(due, 0)
        if due and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        self.last = time.monotonic()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def last_complete(folder: Path) -> str | None:
    """The complete checkpoint with the most steps; None if there is no complete checkpoint."""
    complete = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).exists()]
    return str(max(complete, key=lambda path: int(path.name.partition("-")[2]))) if complete else None


def lock_scratch(folder: Path):
    """Create a run's scratch folder, remove those of other runs of the same pair, and return a lock on the pair.

    The lock lasts until the result is closed. Exits if another process trains this pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder.parent / "lock", "a", encoding="utf-8")  # noqa: SIM115 (the caller closes it)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"{folder}: another job is training here: wait until it ends, or stop it") from None
    for path in folder.parent.iterdir():
        if path.is_dir() and path != folder:
            shutil.rmtree(path)
    return lock
