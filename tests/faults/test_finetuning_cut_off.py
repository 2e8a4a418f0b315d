"""A fine-tuning that is cut off, at any moment, goes on and ends in the weights of an undisturbed one."""

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
    """Starts the script for a folder of that name and gives the process."""
    ids = [str(i) for i in range(8 * STEPS)]
    pl.DataFrame({"id": ids, "instruction": [f"Say {i}" for i in ids]}).write_parquet(root / "instructions.parquet")
    said = {"id": ids, "response": [f"number {i}" for i in ids], "finish_reason": "stop", "reason": None}
    pl.DataFrame(said, schema_overrides={"reason": pl.String}).write_parquet(root / "responses.parquet")

    def started(name, minutes=1e-6, processes=1, script=("-m", "scripts.finetuning.finetune"), **hyper):
        given = {"base": "b", "teacher": "t", "model": json.dumps(MODEL | {"model": str(tiny), "lora": None})}
        given |= {"hyperparameters": json.dumps(HYPER | hyper), "checkpoint-minutes": minutes}
        given |= {"instructions": root / "instructions.parquet", "responses": root / "responses.parquet"}
        given |= {"scratch": root / name / "scratch", "manifest": root / name / "model/manifest.json"}
        command = (
            ["torchrun", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else [sys.executable]
        )
        command += script
        command += [str(part) for key, value in given.items() for part in (f"--{key}", value)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    return started


def finished(process, folder):
    said = process.communicate()[0]
    assert process.returncode == 0, said
    verify(folder / "model")
    return sha256(folder / "model/model.safetensors")


def kill_after(process, folder, steps):
    """SIGKILL once a checkpoint of so many steps is whole."""
    while not list(folder.glob(f"scratch/*/checkpoint-{steps}/{COMPLETE}")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "model/manifest.json").exists()


@pytest.fixture(scope="module")
def undisturbed(start, root):
    return finished(start("whole", minutes=60), root / "whole")


@pytest.mark.fault(28)
def test_killed_twice_it_ends_in_the_same_weights(start, root, undisturbed):
    kill_after(start("cut"), root / "cut", 3)
    kill_after(start("cut"), root / "cut", 11)
    assert finished(start("cut"), root / "cut") == undisturbed
    facts = [json.loads((root / name / "model/manifest.json").read_text()) for name in ("whole", "cut")]
    assert facts[0] == facts[1] and facts[0]["steps"] == STEPS
    assert not [path for path in (root / "cut/scratch").iterdir() if path.is_dir()]


@pytest.mark.fault(28)
def test_several_processes_cut_off_in_the_second_epoch_go_on_in_its_order(start, root):
    shared = {"processes": 2, "micro_batch_size": 2, "epochs": 2, "batch_size": 16}
    whole = finished(start("shared-whole", minutes=60, **shared), root / "shared-whole")
    kill_after(start("shared", **shared), root / "shared", STEPS // 2 + 3)
    assert finished(start("shared", **shared), root / "shared") == whole


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
        said = process.communicate(timeout=120)[0]
    finally:
        process.kill()
    assert process.returncode == 0, said
    verify(root / "slow/model")


@pytest.mark.fault(28)
def test_a_torn_checkpoint_is_passed_over(start, root, undisturbed):
    kill_after(start("torn"), root / "torn", 5)
    (scratch,) = [path for path in (root / "torn/scratch").iterdir() if path.is_dir()]
    torn = scratch / "checkpoint-20"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half a file")
    assert last_complete(scratch) != str(torn)
    assert finished(start("torn"), root / "torn") == undisturbed


@pytest.mark.fault(22)
def test_other_hyperparameters_never_go_on_from_stale_weights(start, root, undisturbed):
    kill_after(start("stale", learning_rate=5e-4), root / "stale", 5)
    assert finished(start("stale"), root / "stale") == undisturbed


@pytest.mark.fault(2)
def test_a_second_process_does_not_train_the_same_pair(start, root, undisturbed):
    first = start("one")
    while not list(root.glob(f"one/scratch/*/checkpoint-1/{COMPLETE}")):
        assert first.poll() is None
        time.sleep(0.002)
    first.send_signal(signal.SIGSTOP)
    said = start("one").communicate()[0]
    first.send_signal(signal.SIGCONT)
    assert "another job is training here" in said
    assert finished(first, root / "one") == undisturbed
