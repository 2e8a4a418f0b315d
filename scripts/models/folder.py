"""Model folders whose manifest, written last, says that they are whole."""

import json
import os
import re
from pathlib import Path

from scripts.tables.digests import sha256, sha256_of_input
from scripts.tables.files import write_json

TOKENIZER = r"(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|tekken)[.]json"
TOKENIZER += r"|merges[.]txt|vocab[.]txt|.*[.]model|.*[.]tiktoken|chat_template[.]jinja"
COMPUTES = re.compile(rf".*[.]safetensors|.*[.]safetensors[.]index[.]json|(generation_)?config[.]json|{TOKENIZER}")
COMPUTES_WITH_CODE = re.compile(rf"{COMPUTES.pattern}|.*[.]py")


def publish(scratch: Path, folder: Path, **facts) -> dict:
    """Move the files of `scratch` into `folder` and write `folder/manifest.json` last; what it says.

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
    return {"files": files, **facts}


def publish_again(kept: Path, folder: Path, **facts) -> bool:
    """Whether `folder` still holds the model of a manifest that was kept; then it gets its manifest back.

    Snakemake removes a job's declared output, here the manifest alone, before it runs the job again. `facts` replace
    those that may have changed since.
    """
    manifest = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None
    if manifest is None or changed_files(folder, manifest["files"]):
        return False
    write_json(manifest | facts, folder / "manifest.json")
    return True


def publish_failure(why: str, folder: Path) -> None:
    """A manifest that tells why there is no model."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    write_json({"files": {}, "failed": why}, folder / "manifest.json")


def failure(folder: str) -> str | None:
    """Why a folder that this workflow published has no model; None where it has one."""
    manifest = Path(folder) / "manifest.json"
    return json.loads(manifest.read_text(encoding="utf-8")).get("failed") if manifest.exists() else None


def verify(folder: Path) -> None:
    """Exit naming the files of a published folder that are missing or changed."""
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    if bad := changed_files(folder, files):
        raise SystemExit(f"{folder}: {', '.join(bad)} missing or changed: delete its manifest.json to build it again")


def key_of(spec: dict) -> dict:
    """An entry of the configuration with the content of its local files in place of their paths.

    A name on the hub stays what it is: with its revision it names the content.
    """
    model = None if is_folder(spec["model"]) else spec["model"]
    return {**spec, "model": model, "chat_template": None, "files": files_of(spec)}


def changed_files(folder: Path, files: dict[str, str]) -> list[str]:
    """The names of files, given with their SHA-256, that a folder lacks or has with another content."""
    return [name for name, sha in files.items() if not (folder / name).exists() or sha256(folder / name) != sha]


def files_of(spec: dict) -> dict[str, str]:
    """SHA-256 of the local files that decide what a model computes, by name: those of its folder, and its template.

    A README or a trainer's state decides nothing. A folder that the workflow published is verified first.
    """
    files = {"chat_template": sha256_of_input(Path(spec["chat_template"]))} if spec.get("chat_template") else {}
    folder = Path(spec["model"])
    if (folder / "manifest.json").exists():
        verify(folder)
        published = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        return files | {name: sha for name, sha in published.items() if COMPUTES.fullmatch(name)}
    pattern = COMPUTES_WITH_CODE if spec.get("trust_remote_code") else COMPUTES
    found = sorted(folder.iterdir()) if is_folder(spec["model"]) else []
    return files | {file.name: sha256_of_input(file) for file in found if pattern.fullmatch(file.name)}


def is_folder(model: str) -> bool:
    """Whether a model is a folder here, and no name on the hub."""
    return Path(model).is_dir()
