"""What identifies a model: the files that decide what it computes, by their content, and nothing else."""

import os
import shutil

import pytest
import yaml
from safetensors.torch import load_file, save_file

from conftest import snakemake
from scripts.models.folder import files_of, key_of
from scripts.tables import digests

SPEC = {"revision": None, "chat_template": None, "trust_remote_code": False}
STRAY = ["README.md", ".DS_Store", "trainer_state.json", "optimizer.pt", "picture.png", "notes.txt"]


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def spec(folder, **more):
    return SPEC | {"model": str(folder)} | more


def edit_weights(folder):
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name][0, 0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_stray_file_or_a_touch_is_no_part_of_a_model(folder):
    before = key_of(spec(folder))
    for name in STRAY:
        (folder / name).write_text("not the model's", encoding="utf-8")
    for file in folder.iterdir():
        os.utime(file)
    assert key_of(spec(folder)) == before
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= set(before["files"])


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"])
def test_settings_and_tokenizer_are_part_of_a_model(folder, name):
    before = key_of(spec(folder))
    (folder / name).write_text((folder / name).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert key_of(spec(folder)) != before


def test_a_moved_folder_is_the_same_model_and_changed_weights_are_another(folder):
    before = key_of(spec(folder))
    moved = folder.rename(folder.with_name("moved"))
    assert key_of(spec(moved)) == before
    edit_weights(moved)
    assert key_of(spec(moved)) != before


def test_code_counts_where_it_is_run(folder):
    before, trusted = key_of(spec(folder)), key_of(spec(folder, trust_remote_code=True))
    (folder / "modeling.py").write_text("", encoding="utf-8")
    assert key_of(spec(folder)) == before
    assert key_of(spec(folder, trust_remote_code=True)) != trusted


def test_the_template_counts_by_its_content(folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jinja").write_text("{{ messages }}", encoding="utf-8")
    a, b = (key_of(spec(folder, chat_template=str(tmp_path / f"{name}.jinja"))) for name in "ab")
    assert a == b != key_of(spec(folder))


def test_a_large_file_is_read_again_only_when_it_may_have_changed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "CACHE", tmp_path / "digests")
    monkeypatch.setattr(digests, "LARGE", 1)
    read = []
    sha256 = digests.sha256
    monkeypatch.setattr(digests, "sha256", lambda path: read.append(path.name) or sha256(path))
    before = files_of(spec(folder))
    assert set(read) == set(before) and len(read) == len(before)
    assert files_of(spec(folder)) == before and len(read) == len(before)
    weights, old = folder / "model.safetensors", (folder / "model.safetensors").stat()
    edit_weights(folder)  # as many bytes, and an older time, as `cp -a` and `mv` leave them
    os.utime(weights, ns=(old.st_atime_ns, old.st_mtime_ns - 10**9))
    assert weights.stat().st_size == old.st_size
    assert files_of(spec(folder))["model.safetensors"] != before["model.safetensors"]


def test_a_teacher_answers_again_when_its_weights_change_and_not_when_its_folder_gets_a_file(checkout, tiny):
    folder = shutil.copytree(tiny, checkout / "model")
    rows = "".join(f'{{"q": "Say {i}"}}\n' for i in range(3))
    (checkout / "questions.jsonl").write_text(rows, encoding="utf-8")
    model = {"model": "./model", "chat_template": "config/templates/plain.jinja", "gpus": 0}
    config = {
        "study": "s",
        "instructions": {"path": "questions.jsonl", "columns": {"instruction": "q"}},
        "teachers": {"t": model | {"sampling": {"max_new_tokens": 4}}},
        "bases": {"b": model},
        "reward_models": {"r": model},
        "car": {"reward_model": "r"},
    }
    (checkout / "s.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    target = ["--configfile", "s.yaml", "--", "results/s/responses/t.parquet"]
    done = snakemake("--cores", "1", *target, cwd=checkout)
    assert done.returncode == 0, done.stdout[-3000:]
    for name in STRAY:
        (folder / name).write_text("not the model's", encoding="utf-8")
    for file in folder.iterdir():
        os.utime(file)
    assert "Nothing to be done" in snakemake("-n", *target, cwd=checkout).stdout
    edit_weights(folder)
    assert "rule generate_responses" in snakemake("-n", *target, cwd=checkout).stdout
