"""Benchmark of an engine: its start, in a new process, and its answers."""

import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import torch

from scripts.miniature.miniature_models import new_llama
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.speed.speed_scoring import ROOT, TEMPLATE, texts

START = (
    "import sys, json; from importlib import import_module; import_module(sys.argv[1]).load(json.loads(sys.argv[2]))"
)


def answering(method: str, engine: str, hidden: int, layers: int, rows: int, new_tokens: int):
    """The start of an engine (method "start"), or the answers of a started one ("decode"); the work returns []."""
    torch.manual_seed(0)
    folder = Path(tempfile.mkdtemp())
    new_llama(byte_tokenizer(), hidden, layers).save_pretrained(folder)
    byte_tokenizer(TEMPLATE.read_text(encoding="utf-8")).save_pretrained(folder)
    spec = {"model": str(folder), "revision": None, "chat_template": None, "trust_remote_code": False}
    spec |= {"vllm": {"max_model_len": 512, "enforce_eager": True}}
    spec |= {"sampling": {"max_new_tokens": new_tokens, "temperature": 0, "top_p": 1, "seed": 0, "options": {}}}
    spec["sampling"] |= {"batch_tokens": 16384}
    command = [sys.executable, "-c", START, f"scripts.engines.engine_{engine}", json.dumps(spec)]
    if method == "start":
        return lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True) and []
    generate, prompts = import_module(f"scripts.engines.engine_{engine}").load(spec), texts(rows, 1, 0)
    return lambda: generate(prompts, spec["sampling"]) and []
