"""A fine-tuning run that is interrupted at any moment resumes and ends in the weights of an uninterrupted run."""

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from scripts.finetuning.sft_checkpoints import COMPLETE, last_complete
from scripts.models.folder import sha256, verify
from test_finetune import HYPER, MODEL

STEPS = 24


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("finetuning")


@pytest.fixture(scope="module")
def start(tiny, root):
    """A function that starts the script for the folder `name` and returns the process."""
    ids = [str(i) for i in range(8 * STEPS)]
    pl.DataFrame({"id": ids, "instruction": [f"Say {i}" for i in ids]}).write_parquet(root / "instructions.parquet")
    columns = {"id": ids, "response": [f"number {i}" for i in ids], "finish_reason": "stop", "reason": None}
    pl.DataFrame(columns, schema_overrides={"reason": pl.String}).write_parquet(root / "responses.parquet")

    def start_process(name, minutes=1e-6, processes=1, script=("-m", "scripts.finetuning.finetune"), **hyper):
        arguments = {"base": "b", "teacher": "t", "model": json.dumps(MODEL | {"model": str(tiny), "lora": None})}
        arguments |= {"hyperparameters": json.dumps(HYPER | hyper), "checkpoint-minutes": minutes}
        arguments |= {"instructions": root / "instructions.parquet", "responses": root / "responses.parquet"}
        arguments |= {"scratch": root / name / "scratch", "manifest": root / name / "model/manifest.json"}
        command = (
            ["torchrun", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else [sys.executable]
        )
        command += script
        command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    return start_process


def weights_of(process, folder):
    """Wait until the process ends; returns the SHA-256 of the model's weights."""
    output = process.communicate()[0]
    assert process.returncode == 0, output
    verify(folder / "model")
    return sha256(folder / "model/model.safetensors")


def kill_after(process, folder, steps):
    """Send SIGKILL when the checkpoint after that number of steps is complete."""
    while not list(folder.glob(f"scratch/*/checkpoint-{steps}/{COMPLETE}")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "model/manifest.json").exists()


@pytest.fixture(scope="module")
def uninterrupted(start, root):
    return weights_of(start("uncut", minutes=60), root / "uncut")


@pytest.mark.fault(28)
def test_a_run_that_is_killed_twice_ends_in_the_same_weights(start, root, uninterrupted):
    kill_after(start("cut"), root / "cut", 3)
    kill_after(start("cut"), root / "cut", 11)
    assert weights_of(start("cut"), root / "cut") == uninterrupted
    facts = [json.loads((root / name / "model/manifest.json").read_text()) for name in ("uncut", "cut")]
    assert facts[0] == facts[1] and facts[0]["steps"] == STEPS
    assert not [path for path in (root / "cut/scratch").iterdir() if path.is_dir()]


@pytest.mark.fault(28)
def test_several_processes_interrupted_in_the_second_epoch_resume_in_its_order(start, root):
    shared = {"processes": 2, "micro_batch_size": 2, "epochs": 2, "batch_size": 16}
    expected = weights_of(start("shared-uncut", minutes=60, **shared), root / "shared-uncut")
    kill_after(start("shared", **shared), root / "shared", STEPS // 2 + 3)
    assert weights_of(start("shared", **shared), root / "shared") == expected


SLOW_DISK = """
import time
from scripts.finetuning import finetune
class SlowDisk(finetune.SaveAtIntervals):
    def on_save(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            time.sleep(0.5)
        super().on_save(args, state, control, **kwargs)
finetune.SaveAtIntervals = SlowDisk
finetune.main()
"""


@pytest.mark.fault(28)
def test_processes_whose_clocks_differ_save_the_same_checkpoints(start, root):
    script = root / "slow_disk.py"
    script.write_text(SLOW_DISK)
    shared = {"processes": 2, "micro_batch_size": 2, "epochs": 2}
    process = start("slow", minutes=0.2 / 60, script=[str(script)], **shared)
    try:
        output = process.communicate(timeout=120)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    verify(root / "slow/model")


@pytest.mark.fault(28)
def test_an_incomplete_checkpoint_is_ignored(start, root, uninterrupted):
    kill_after(start("incomplete"), root / "incomplete", 5)
    (scratch,) = [path for path in (root / "incomplete/scratch").iterdir() if path.is_dir()]
    incomplete = scratch / "checkpoint-20"
    incomplete.mkdir()
    (incomplete / "model.safetensors").write_bytes(b"half a file")
    assert last_complete(scratch) != str(incomplete)
    assert weights_of(start("incomplete"), root / "incomplete") == uninterrupted


@pytest.mark.fault(22)
def test_a_run_never_resumes_from_weights_of_other_hyperparameters(start, root, uninterrupted):
    kill_after(start("stale", learning_rate=5e-4), root / "stale", 5)
    assert weights_of(start("stale"), root / "stale") == uninterrupted


@pytest.mark.fault(2)
def test_a_second_process_does_not_train_the_same_pair(start, root, uninterrupted):
    first = start("one")
    while not list(root.glob(f"one/scratch/*/checkpoint-1/{COMPLETE}")):
        assert first.poll() is None
        time.sleep(0.002)
    first.send_signal(signal.SIGSTOP)
    output = start("one").communicate()[0]
    first.send_signal(signal.SIGCONT)
    assert "another job is training here" in output
    assert weights_of(first, root / "one") == uninterrupted
