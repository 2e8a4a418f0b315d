"""A fine-tuning that is killed and resumed, against one that is not."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from tests.gpu.scoring import TEMPLATE, chat_tokenizer
from tests.gpu.shapes import Scale
from tests.gpu.training import HYPER

ROOT = Path(__file__).parents[2]
KILLED = HYPER | {"learning_rate": 1e-3, "warmup_steps": 0, "batch_size": 8, "max_length": 256}


def killed_and_resumed(scale: Scale):
    """A run that is killed with SIGKILL and started again, against one that is not, and that one against another.

    The differences are those of the final weights, as a share of how far training moved them.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_inputs(root, scale)
        names = (
            ("undisturbed", "again") if torch.cuda.is_available() else ("undisturbed",)
        )  # a CPU repeats to the digit
        processes = [start(root, name, minutes=60) for name in names]
        killed = start(root, "killed", minutes=0.002)
        yield {"what": "killed", "resumes_from_step": kill_at(scale.resumed // 4, root, killed), "of": scale.resumed}
        processes.append(start(root, "killed", minutes=60))
        for process in processes:
            printed = process.communicate()[0]
            if process.returncode:
                raise AssertionError(printed[-2000:])
        first = load_file(root / "base/model.safetensors")
        weights = {name: load_file(root / name / "model/model.safetensors") for name in (*names, "killed")}
        facts = {name: json.loads((root / name / "model/manifest.json").read_text("utf-8")) for name in weights}
        for name in weights.keys() - {"undisturbed"}:
            yield {
                "what": f"{name} against undisturbed",
                **difference(weights[name], weights["undisturbed"], first),
                "last_losses": [facts[name]["last_loss"], facts["undisturbed"]["last_loss"]],
                "steps": [facts[name]["steps"], facts["undisturbed"]["steps"]],
            }


def difference(weights: dict, others: dict, first: dict) -> dict:
    """Between two models that were trained from `first`."""
    flat, other, start = (
        torch.cat([d[key].double().flatten() for key in sorted(first)]) for d in (weights, others, first)
    )
    return {
        "weights_equal": bool((flat == other).all()),
        "greatest_difference": (flat - other).abs().max().item(),
        "share_of_training": ((flat - other).norm() / (other - start).norm()).item(),
    }


def write_inputs(root: Path, scale: Scale) -> None:
    """A small base model in float32, instructions and responses."""
    sizes = {"hidden_size": 32 if scale.tiny else 256, "num_hidden_layers": 2 if scale.tiny else 6}
    sizes |= {"intermediate_size": 4 * sizes["hidden_size"], "num_attention_heads": 4, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", vocab_size=261, max_position_embeddings=512, **sizes)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(root / "base")
    chat_tokenizer().save_pretrained(root / "base")
    ids = [str(i) for i in range(KILLED["batch_size"] * scale.resumed)]
    asked = pl.DataFrame({"id": ids, "instruction": [f"Say {i}" for i in ids]})
    asked.write_parquet(root / "instructions.parquet")
    responses = {"id": ids, "response": [f"number {i} " * (1 + int(i) % 9) for i in ids], "finish_reason": "stop"}
    answered = pl.DataFrame(responses | {"reason": None}, schema_overrides={"reason": pl.String})
    answered.write_parquet(root / "responses.parquet")


def start(root: Path, name: str, minutes: float) -> subprocess.Popen:
    """The product's script on the inputs in `root`; output and checkpoints go to a folder of that name."""
    model = {"model": str(root / "base"), "revision": None, "trust_remote_code": False}
    model |= {"chat_template": str(TEMPLATE), "lora": None, "fsdp": False}
    options = {"base": "b", "teacher": "t", "model": json.dumps(model), "hyperparameters": json.dumps(KILLED)}
    options |= {"instructions": root / "instructions.parquet", "responses": root / "responses.parquet"}
    options |= {"checkpoint-minutes": minutes, "scratch": root / name / "scratch"}
    options |= {"manifest": root / name / "model/manifest.json"}
    command = [sys.executable, "-m", "scripts.finetuning.finetune"]
    command += [str(part) for key, value in options.items() for part in (f"--{key}", value)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    how = {"cwd": ROOT, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, **how)


def kill_at(step: int, root: Path, process: subprocess.Popen) -> int:
    """SIGKILL while a checkpoint of that step or a later one is being written; the step of the complete one before."""
    while len(found := sorted(map(step_of, root.glob("killed/scratch/*/checkpoint-*")))) < 2 or found[-1] < step:
        if process.poll() is not None:
            raise AssertionError(f"it ended before it could be killed: {process.communicate()[0][-2000:]}")
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return found[-2]


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])
