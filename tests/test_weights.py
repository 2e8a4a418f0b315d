"""Weights that are not there, or not complete, are found before a model is loaded."""

import json
import re
import shutil

import pytest
from safetensors.torch import load_file, save_file

from scripts.models.weights import wrong_weights


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def shard(folder):
    """The weights in two files and an index."""
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    half = {"a.safetensors": names[: len(names) // 2], "b.safetensors": names[len(names) // 2 :]}
    for file, part in half.items():
        save_file({name: weights[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in half.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "model.safetensors").unlink()


def truncate(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])


def edit_index(folder, change):
    shard(folder)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    change(index)
    path.write_text(json.dumps(index), encoding="utf-8")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
DAMAGES = {
    "is a Git LFS pointer": lambda f: (f / "model.safetensors").write_bytes(POINTER),
    "is cut off: it has [0-9,]+ bytes instead of": truncate,
    "is cut off: it has 0 bytes": lambda f: (f / "model.safetensors").write_bytes(b""),
    "header cannot be read": lambda f: (f / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(60)),
    "its header cannot be read": lambda f: (f / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}"),
    r"weight files are missing \(1 of 2\): b.safetensors": lambda f: [shard(f), (f / "b.safetensors").unlink()],
    r"names tensors that are in no file \(1\), such as x": lambda f: edit_index(
        f, lambda index: index["weight_map"].update(x="a.safetensors")
    ),
    "has to map each tensor": lambda f: edit_index(f, dict.clear),
    "it is a LoRA adapter": lambda f: (f / "adapter_config.json").write_text("{}", encoding="utf-8"),
    "no weights in": lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
}


@pytest.mark.parametrize("expected", DAMAGES)
def test_weights_that_cannot_be_loaded_are_named(folder, expected):
    DAMAGES[expected](folder)
    (problem,) = wrong_weights(folder)
    assert re.search(expected, problem)


def test_complete_weights_are_right_in_one_file_and_in_several(folder):
    assert wrong_weights(folder) == []
    shard(folder)
    assert wrong_weights(folder) == []
