"""Whether the weight files of a model folder are complete, from their headers: nothing is loaded."""

import json
import struct
from pathlib import Path

LFS = b"version https://git-lfs"


def wrong_weights(folder: Path) -> list[str]:
    """What is wrong with the safetensors of a folder, one line a problem: pointers, cut or missing files, adapters."""
    files = sorted(folder.glob("*.safetensors"))
    if (folder / "adapter_config.json").exists():
        return ["it is a LoRA adapter, not a model: merge it into its base model and name that folder"]
    if not files:
        return ["it has no weights in *.safetensors; pickled weights are not loaded"]
    problems, tensors = [], set()
    for file in files:
        names, problem = read_header(file)
        tensors |= names
        problems += [f"{file.name} {problem}"] if problem else []
    return problems or missing_shards(folder, tensors)


def read_header(file: Path) -> tuple[set[str], str | None]:
    """Names of the tensors in a safetensors file; or what is wrong with it, as the end of a sentence.

    A file is 8 bytes with the length of its header, the header as JSON, and the bytes of the tensors (safetensors'
    documented format).
    """
    size = file.stat().st_size
    with open(file, "rb") as opened:
        start = opened.read(len(LFS))
        if start == LFS:
            return set(), "is a Git LFS pointer, not weights: run `git lfs pull` in its repository"
        if size < 8:
            return set(), f"is cut off: it has {size} bytes"
        opened.seek(8)
        length = struct.unpack("<Q", start[:8])[0]
        header = opened.read(length) if length <= size - 8 else b""
    try:
        found = json.loads(header)
        end = 8 + length + max(tensor["data_offsets"][1] for name, tensor in found.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError):
        return set(), f"is no safetensors file, or is cut off: its header cannot be read ({size:,} bytes)"
    if end != size:
        return set(), f"is cut off: it has {size:,} bytes instead of {end:,}"
    return {name for name in found if name != "__metadata__"}, None


def missing_shards(folder: Path, tensors: set[str]) -> list[str]:
    """Files and tensors that an index names and the folder lacks."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return []
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError):
        return [f"{index.name} cannot be read: it has to map each tensor to its file under weight_map"]
    if missing := sorted({file for file in named.values() if not (folder / file).exists()}):
        return [f"weight files are missing ({len(missing)} of {len(set(named.values()))}): {', '.join(missing[:3])}"]
    if absent := sorted(set(named) - tensors):
        return [f"{index.name} names tensors that are in no file ({len(absent)}), such as {absent[0]}"]
    return []
