"""Model folders whose manifest, written last, says that they are whole."""

import hashlib
import json
import os
from pathlib import Path

from tables import write_json


def publish(scratch: Path, folder: Path, **facts) -> None:
    """Move the files of `scratch` into `folder` and write `folder/manifest.json` last.

    The manifest holds the SHA-256 of every file and the `facts` given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    files = {}
    for file in sorted(scratch.iterdir()):
        files[file.name] = sha256(file)
        os.replace(file, folder / file.name)
    scratch.rmdir()
    write_json({"files": files, **facts}, folder / "manifest.json")


def publish_failure(why: str, folder: Path) -> None:
    """A manifest that tells why there is no model."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    write_json({"files": {}, "failed": why}, folder / "manifest.json")


def failure(folder: str) -> str | None:
    """Why a folder that this workflow published has no model; None where it has one."""
    manifest = Path(folder) / "manifest.json"
    return json.loads(manifest.read_text()).get("failed") if manifest.exists() else None


def verify(folder: Path) -> None:
    """Exit naming the files of a published folder that are missing or changed."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    bad = [name for name, sha in files.items() if not (folder / name).exists() or sha256(folder / name) != sha]
    if bad:
        raise SystemExit(f"{folder}: {', '.join(bad)} missing or changed: delete its manifest.json to build it again")


def identity(spec: dict) -> dict[str, str]:
    """What tells a model from another of the same name: SHA-256 of the files of a local folder and of its template.

    A hub id is told by its revision, which is part of the spec. A published folder is verified first.
    """
    files = [Path(spec["chat_template"])] if spec.get("chat_template") else []
    folder = Path(spec["model"])
    if (folder / "manifest.json").exists():
        verify(folder)
        files.append(folder / "manifest.json")
    elif folder.is_dir():
        files += sorted(file for file in folder.iterdir() if file.is_file())
    return {str(file): sha256(file) for file in files}


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
