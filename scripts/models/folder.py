"""Model folders. A manifest, written last, shows that a folder is complete."""

import json
import os
import re
import shutil
from pathlib import Path

from scripts.tables.digests import sha256, sha256_of_input
from scripts.tables.text_files import write_json

TOKENIZER_FILES = r"(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|tekken)[.]json"
TOKENIZER_FILES += r"|merges[.]txt|vocab[.]txt|.*[.]model|.*[.]tiktoken|chat_template[.]jinja"
MODEL_FILES = re.compile(
    rf".*[.]safetensors|.*[.]safetensors[.]index[.]json|(generation_)?config[.]json|{TOKENIZER_FILES}"
)
MODEL_FILES_AND_CODE = re.compile(rf"{MODEL_FILES.pattern}|.*[.]py")


def publish(scratch: Path, folder: Path, **facts) -> dict:
    """Move the files of `scratch` into `folder`, write `folder/manifest.json` last, and return its content.

    The manifest has the SHA-256 of every file, and the `facts`.
    """
    files = {file.name: sha256(file) for file in sorted(scratch.iterdir())}
    beside = folder.with_name(f".{folder.name}.new")  # on the file system of `folder`, where a rename is possible
    shutil.rmtree(beside, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(scratch, beside)
    make_empty(folder)
    for name in files:
        os.replace(beside / name, folder / name)
    beside.rmdir()
    write_json({"files": files, **facts}, folder / "manifest.json")
    return {"files": files, **facts}


def publish_again(saved: Path, folder: Path, **facts) -> bool:
    """Restore the manifest of `folder` from the file `saved`; False if `folder` does not have that model unchanged.

    Snakemake removes a job's declared output (here only the manifest) before it runs the job again. `facts` replace
    those that may have changed in the meantime.
    """
    manifest = json.loads(saved.read_text(encoding="utf-8")) if saved.exists() else None
    if manifest is None or changed_files(folder, manifest["files"]):
        return False
    write_json(manifest | facts, folder / "manifest.json")
    return True


def publish_failure(why: str, folder: Path) -> None:
    """Write a manifest that says why there is no model."""
    make_empty(folder)
    write_json({"files": {}, "failed": why}, folder / "manifest.json")


def make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()


def failure(folder: str) -> str | None:
    """Why a folder that this workflow published has no model; None if it has one."""
    manifest = Path(folder) / "manifest.json"
    return json.loads(manifest.read_text(encoding="utf-8")).get("failed") if manifest.exists() else None


def verify(folder: Path) -> None:
    """Exit naming the files of a published folder that are missing or changed."""
    if bad := changed_files(folder, files_in_manifest(folder)):
        raise SystemExit(f"{folder}: {', '.join(bad)} missing or changed: delete its manifest.json to build it again")


def files_in_manifest(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of the files of a published folder."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]


def key_of(spec: dict) -> dict:
    """A config entry of a model, with the SHA-256 of its local files in place of their paths: a cache key.

    A name on the hub is kept: together with its revision it identifies the content.
    """
    model = None if is_folder(spec["model"]) else spec["model"]
    return {**spec, "model": model, "chat_template": None, "files": files_of(spec)}


def changed_files(folder: Path, files: dict[str, str]) -> list[str]:
    """Which of `files` (name to SHA-256) are missing in a folder or have other content there."""
    return [name for name, sha in files.items() if not (folder / name).exists() or sha256(folder / name) != sha]


def files_of(spec: dict) -> dict[str, str]:
    """Name to SHA-256 of the local files that decide what a model computes: those of its folder, and its template.

    Other files, such as a README or a trainer's state, are ignored. A folder that this workflow published is verified.
    """
    files = {"chat_template": sha256_of_input(Path(spec["chat_template"]))} if spec.get("chat_template") else {}
    folder = Path(spec["model"])
    if is_folder(spec["model"]) and (folder / "manifest.json").exists():
        verify(folder)
        published = files_in_manifest(folder)
        return files | {name: sha for name, sha in published.items() if MODEL_FILES.fullmatch(name)}
    pattern = MODEL_FILES_AND_CODE if spec.get("trust_remote_code") else MODEL_FILES
    paths = sorted(folder.iterdir()) if is_folder(spec["model"]) else []
    return files | {path.name: sha256_of_input(path) for path in paths if pattern.fullmatch(path.name)}


def is_folder(model: str) -> bool:
    """Whether a model is a local folder, and not a name on the hub."""
    return model != "" and Path(model).is_dir()
