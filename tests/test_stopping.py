"""A run that is stopped ends its jobs at once, and the same command resumes it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from conftest import link_workflow

ANSWERS = "results/s/responses/t.parquet"


@pytest.fixture
def silent():
    """A socket of an endpoint that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(120)
        yield listening


@pytest.fixture
def root(tmp_path, silent):
    """A folder with a study whose teacher is at that endpoint."""
    endpoint = {"base_url": f"http://127.0.0.1:{silent.getsockname()[1]}/v1", "api_key_env": None}
    model = {"model": "a/b", "gpus": 0}
    config = {
        "study": "s",
        "instructions": {"path": "questions.jsonl", "columns": {"instruction": "instruction"}},
        "teachers": {name: {"model": "m", "engine": "openai", "openai": endpoint} for name in "tu"},
        "bases": {"b": model | {"chat_template": "config/templates/plain.jinja"}},
        "reward_models": {"r": model},
        "car": {"reward_model": "r"},
    }
    link_workflow(tmp_path)
    (tmp_path / "questions.jsonl").write_text(json.dumps({"instruction": "Say 1"}) + "\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "stop",
    [lambda run: run.terminate(), lambda run: os.killpg(run.pid, signal.SIGINT)],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_a_stopped_run_does_not_wait_for_its_jobs_and_leaves_no_process(root, silent, stop):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", ANSWERS, "--configfile", "mine.yaml"]
    with (root / "log").open("w", encoding="utf-8") as log:
        run = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, start_new_session=True)
        silent.accept()  # the job waits for its answer now
        processes = psutil.Process(run.pid).children(recursive=True)
        stop(run)
        run.wait(timeout=60)
    end = time.monotonic() + 20
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
        assert time.monotonic() < end, processes
        time.sleep(0.1)
    text = (root / "log").read_text(encoding="utf-8")
    assert processes and run.returncode == 1 and not (root / ANSWERS).exists()
    assert "stopped: ending the jobs. The same command resumes them" in text
    assert "ended: the run was stopped" in text
