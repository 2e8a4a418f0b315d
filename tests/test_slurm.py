"""The workflow on a real Slurm: every rule requests its GPUs, and a job killed in the middle changes no result."""

import hashlib
import re
import subprocess
import time

import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.finetuning.sft_checkpoints import COMPLETE
from slurm_cluster import cluster, missing

pytestmark = [pytest.mark.slow, pytest.mark.study, pytest.mark.skipif(bool(missing()), reason=str(missing()))]

SNAKEMAKE = ROOT / ".venv-slurm/bin/snakemake"
CHECKPOINTS = [f"results/small/checkpoints/alpha/{teacher}/manifest.json" for teacher in ("plain-small", "terse-small")]
OF_MODELS = ["generate_responses", "score_rewards", "score_likelihoods", "finetune"]
REQUESTED = {"gpus": 1, "mem_mb": 2000, "runtime": 20}


def configuration() -> dict:
    world = "./results/world"
    answering = {"family": "small", "sampling": {"max_new_tokens": 20}, **REQUESTED}
    base = {"model": f"{world}/alpha", "chat_template": "config/templates/plain.jinja", "processes": 2, **REQUESTED}
    return {
        "study": "small",
        "instructions": {
            "path": "results/world/instructions.jsonl",
            "columns": {"instruction": "instruction"},
            "n": 96,
        },
        "teachers": {name: {"model": f"{world}/{name}", **answering} for name in ("plain-small", "terse-small")},
        "bases": {"alpha": base},
        "reward_models": {"right-answer": {"model": f"{world}/right-answer", **REQUESTED}},
        "finetune": {"epochs": 12, "learning_rate": 2e-3, "batch_size": 4, "micro_batch_size": 2, "max_length": 128}
        | {"gradient_checkpointing": False, "checkpoint_minutes": 0.02},
        "car": {"reward_model": "right-answer"},
    }


def folder(tmp_path, study):
    """A folder with the workflow and the configuration of the small study."""
    tmp_path.mkdir()
    link_workflow(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/world").symlink_to(study / "results/world")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(configuration()))
    return tmp_path


def on_slurm(root):
    """Starts the study as on a cluster without accounting."""
    command = [SNAKEMAKE, "rank", *CHECKPOINTS, "--configfile", "small.yaml", "--workflow-profile", "profiles/slurm"]
    command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5"]
    command += ["--default-resources", "nodes=1", "cpus_per_gpu=1", "mem_mb=1000", "runtime=10", "slurm_account=none"]
    log = open(root / "slurm.log", "w", encoding="utf-8")  # noqa: SIM115 (of the process)
    return subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)


def allocate(node):
    """Slurm's number of a job that has one of the two GPUs of a node."""
    command = ["sbatch", "--parsable", "-p", "gpu", "-w", node, "--gres=gpu:1", "--mem=100"]
    return subprocess.run(
        [*command, "-o", "/dev/null", "--wrap", "sleep 600"], capture_output=True, text=True, check=True
    ).stdout.strip()


def state_of(rule):
    """Slurm's state of a job of a rule, for example PD (pending) or R (running); None if there is none."""
    queue = subprocess.run(["squeue", "-h", "-o", "%t %P %k"], capture_output=True, text=True).stdout
    return next((line.split()[0] for line in queue.splitlines() if rule in line), None)


def job_of(rule_and_pair):
    """Slurm's number of a running job whose comment has this rule and pair."""
    queue = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i %k"], capture_output=True, text=True).stdout
    numbers = [line.split()[0] for line in queue.splitlines() if rule_and_pair in line]
    return numbers[0] if numbers else None


@pytest.mark.fault(28)
def test_a_study_on_slurm_with_a_job_killed_in_the_middle_equals_the_local_one(study, tmp_path_factory):
    local = folder(tmp_path_factory.mktemp("local") / "study", study)
    done = snakemake(
        "rank", *CHECKPOINTS, "--cores", "2", "--resources", "gpu=2", "--configfile", "small.yaml", cwd=local
    )
    assert done.returncode == 0, done.stdout[-3000:]
    root = folder(tmp_path_factory.mktemp("slurm") / "study", study)
    with cluster(tmp_path_factory.mktemp("daemons") / "slurm"):
        # one GPU is free on each node, which is not enough for a job with two, as fine-tuning here
        held = [allocate(node) for node in ("n1", "n2")]
        run = on_slurm(root)
        while not state_of("finetune"):
            assert run.poll() is None, (root / "slurm.log").read_text()[-3000:]
            time.sleep(0.5)
        assert state_of("finetune") == "PD"
        subprocess.run(["scancel", *held], check=True)
        while not list(root.glob(f"results/small/rows/finetune/alpha/terse-small/*/checkpoint-*/{COMPLETE}")):
            assert run.poll() is None, (root / "slurm.log").read_text()[-3000:]
            time.sleep(0.1)
        number = job_of("finetune")
        subprocess.run(["scancel", "--signal=KILL", "--full", number], check=True)
        assert run.wait(timeout=900) == 0, (root / "slurm.log").read_text()[-5000:]
        jobs = subprocess.run(["squeue", "-h", "-t", "all", "-o", "%P %D %k"], capture_output=True, text=True).stdout
    for partition, n_nodes, comment in (line.split(maxsplit=2) for line in jobs.splitlines() if "rule" in line):
        assert (partition, n_nodes) == ("gpu" if any(rule in comment for rule in OF_MODELS) else "cpu", "1"), comment
    log = (root / "slurm.log").read_text()
    assert "Trying to restart job" in log
    for path in sorted(local.glob("results/small/**/*")):
        if path.name == "model.safetensors" or (path.suffix in (".csv", ".parquet") and "rows" not in path.parts):
            assert sha(root / path.relative_to(local)) == sha(path), path
    submitted = re.findall(r"\bgpu=(\d+)", log)
    # two teachers, a reward model and a base; two pairs, one of them twice
    assert sorted(submitted) == ["1"] * 4 + ["2"] * 3


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
