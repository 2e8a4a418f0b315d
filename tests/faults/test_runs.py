"""Runs that are killed, also at random, or started twice: the same command resumes them, with the same results."""

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake

pytestmark = pytest.mark.study
STUDY = "results/tiny"


def configuration() -> dict:
    world = {"gpus": 0, "sampling": {"max_new_tokens": 16}}
    return {
        "study": "tiny",
        "instructions": {
            "path": "results/world/instructions.jsonl",
            "columns": {"instruction": "instruction"},
            "n": 40,
        },
        "teachers": {name: {"model": f"./results/world/{name}", **world} for name in ("plain-small", "terse-small")},
        "bases": {
            "alpha": {"model": "./results/world/alpha", "chat_template": "config/templates/plain.jinja", "gpus": 0}
        },
        "reward_models": {"right-answer": {"model": "./results/world/right-answer", "gpus": 0}},
        "finetune": {"epochs": 4, "learning_rate": 2e-3, "batch_size": 4, "micro_batch_size": 4, "max_length": 128}
        | {"gradient_checkpointing": False, "checkpoint_minutes": 0.01},
        "benchmarks": {
            "held_out": {
                "prompts": {"path": "results/world/held_out.jsonl", "n": 40}
                | {"columns": {"instruction": "instruction", "reference": "answer"}},
                "protocol": "exact",
                "answer_pattern": r"(\S+?)\.?\s*$",
                "baseline": "plain-small",
                "sampling": {"max_new_tokens": 16},
            }
        },
        "ap": ["held_out.wr"],
        "car": {"reward_model": "right-answer"},
    }


@pytest.fixture
def make(study, tmp_path):
    """Makes a folder with the workflow and the configuration of the tiny study."""

    def made(name):
        root = tmp_path / name
        root.mkdir()
        link_workflow(root)
        (root / "results").mkdir()
        (root / "results/world").symlink_to(study / "results/world")
        (root / "tiny.yaml").write_text(yaml.safe_dump(configuration()))
        return root

    return made


def start(root):
    log = open(root / "run.log", "a", encoding="utf-8")  # noqa: SIM115 (of the process)
    command = [Path(sys.executable).parent / "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    return subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)


TIMES = re.compile(
    rb"<p class=\"soft\">Time of all jobs.*?</p>|Time and memory by stage</summary>.*?</table>", flags=re.S
)


def results(root) -> dict[str, str]:
    """SHA-256 of every final file, without logs, timings and stored rows; of the page without its timings."""
    files = [path for path in (root / STUDY).rglob("*") if path.is_file()]
    names = {str(path.relative_to(root)): path for path in files}
    final = {name: path for name, path in names.items() if name.split("/")[2] not in ("logs", "timings", "rows")}
    return {name: hashlib.sha256(TIMES.sub(b"", path.read_bytes())).hexdigest() for name, path in final.items()}


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.fault(2)
@pytest.mark.fault(23)
def test_a_second_run_is_refused_and_after_a_kill_the_same_command_resumes_the_run(make):
    root = make("killed")
    first = start(root)
    wait_for(lambda: list(root.glob(f"{STUDY}/rows/responses/*/*/lock")))
    second = snakemake("--cores", "1", "--configfile", "tiny.yaml", cwd=root)
    assert second.returncode and re.search(
        rf"another run is active in this folder: host .*, process {first.pid}", second.stdout
    )
    jobs = [
        child for child in psutil.Process(first.pid).children(recursive=True) if "scripts." in " ".join(child.cmdline())
    ]
    assert jobs
    first.send_signal(signal.SIGKILL)
    first.wait()
    gone, alive = psutil.wait_procs(jobs, timeout=60)
    assert not alive and len(gone) == len(jobs)
    again = snakemake(
        "--cores", "2", "--configfile", "tiny.yaml", "--", f"{STUDY}/responses/plain-small.parquet", cwd=root
    )
    assert again.returncode == 0, again.stdout[-3000:]


@pytest.mark.fault(23)
def test_a_dry_run_of_a_running_study_is_not_refused(make):
    root = make("running")
    first = start(root)
    wait_for(lambda: (root / ".snakemake/run.lock").exists() and (root / ".snakemake/run.lock").read_text())
    assert snakemake("-n", "--configfile", "tiny.yaml", cwd=root).returncode == 0
    first.send_signal(signal.SIGKILL)
    first.wait()


@pytest.mark.fault(29)
def test_a_cluster_waits_for_files_that_appear_late(tmp_path):
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert profile["latency-wait"] >= 60
    late = "rule late:\n    output: 'late.txt'\n    shell: '(sleep 2; echo here > {output}) >/dev/null 2>&1 &'\n"
    (tmp_path / "Snakefile").write_text(late)
    for seconds, code in ((str(profile["latency-wait"]), 0), ("0", 1)):
        (tmp_path / "late.txt").unlink(missing_ok=True)
        done = snakemake("--cores", "1", "--latency-wait", seconds, "late.txt", cwd=tmp_path)
        assert done.returncode == code, done.stdout
        time.sleep(3 * code)


def kill_at_random(root, seed) -> list[str]:
    """Runs the study until it is finished and kills any of its processes at random times; returns what was killed."""
    rng, killed = random.Random(seed), []
    for _ in range(30):
        run = start(root)
        end = time.monotonic() + rng.uniform(1.5, 12)
        while time.monotonic() < end and run.poll() is None:
            time.sleep(0.01)
        if len(killed) < 6 and run.poll() is None:
            processes = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
            victim = rng.choice(processes)
            try:
                killed.append(" ".join(victim.cmdline())[:80])
                victim.kill()
            except psutil.NoSuchProcess:
                killed.append("a process that had just ended")
        if run.wait() == 0:
            return killed
    raise AssertionError((root / "run.log").read_text()[-3000:])


@pytest.mark.slow
@pytest.mark.fault(1)
@pytest.mark.fault(2)
@pytest.mark.fault(28)
def test_after_random_kills_the_results_are_those_of_an_undisturbed_run(make):
    undisturbed = make("undisturbed")
    assert start(undisturbed).wait() == 0, (undisturbed / "run.log").read_text()[-3000:]
    expected = results(undisturbed)
    assert len(expected) > 40
    seeds = range(int(os.environ.get("RANDOM_KILLS", 1)))
    for seed in seeds:
        root = make(f"killed-{seed}")
        killed = kill_at_random(root, seed)
        print(f"seed {seed}: killed {killed}")
        assert results(root) == expected, seed
        assert "Nothing to be done" in snakemake("--cores", "1", "--configfile", "tiny.yaml", cwd=root).stdout
