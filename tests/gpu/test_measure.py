"""What runs on a GPU runs from end to end in small."""

import json
import subprocess
import sys

import pytest

from conftest import ROOT

# every kind of step; the variants of fine-tuning and the speeds on one of the four shapes
STEPS = ["machine", "likelihoods", "rewards", "fine-tuning/qwen2-1.5b", "scoring speed/qwen2-1.5b", "head"]
STEPS += ["out of memory", "killed and resumed"]


@pytest.mark.slow
def test_every_step_runs_in_small_and_gives_figures(tmp_path):
    command = [sys.executable, "-m", "tests.gpu.measure", "--tiny", "--output", str(tmp_path / "figures.jsonl")]
    command += ["--only", *STEPS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not [line for line in lines if line.get("ended", "done") != "done"]
    assert {"card", "date", "versions", "step"} <= set.intersection(*(set(line) for line in lines))
    figures = [line for line in lines if "ended" not in line]
    assert {line["step"] for line in figures} == {line["step"] for line in lines}
    resumed = next(line for line in figures if "weights_equal" in line)
    assert resumed["weights_equal"] and resumed["steps"][0] == resumed["steps"][1]
    first = {line["first_loss"] for line in figures if line["step"].startswith("fine-tuning/qwen2-1.5b")}
    assert max(first) - min(first) < 1e-4  # however it is computed
