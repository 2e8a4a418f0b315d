"""Fixtures of several tests: a tiny random model, and the finished miniature study."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import LlamaForSequenceClassification

from faults_table import numbers_of, table
from scripts.miniature.miniature_models import byte_tokenizer, new_llama

ROOT = Path(__file__).parent.parent
SOURCES = ["Snakefile", "rules", "scripts", "config", "envs", "profiles"]

FAULTS_OF = pytest.StashKey()

torch.set_num_threads(1)
os.environ["PYTHONPATH"] = str(ROOT)  # so that scripts can be started as modules from any folder


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="hold the outputs of costly stages under a new VERSION")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with a base model with random weights and no chat template."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    new_llama(tokenizer, hidden=32, layers=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_reward_model(tmp_path_factory, tiny) -> Path:
    """A folder with a sequence classifier with random weights and one output."""
    folder = tmp_path_factory.mktemp("tiny-reward-model")
    torch.manual_seed(1)
    LlamaForSequenceClassification.from_pretrained(tiny, num_labels=1).save_pretrained(folder)
    byte_tokenizer((ROOT / "config/miniature/chat.jinja").read_text()).save_pretrained(folder)
    return folder


def snakemake(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["snakemake", *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def link_workflow(folder: Path) -> Path:
    """Link the workflow into an empty folder, where a test can run a study with its own results."""
    for name in SOURCES:
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="session")
def study() -> Path:
    """The repository with the miniature study finished in results/miniature."""
    done = snakemake("--cores", "2", cwd=ROOT)
    assert done.returncode == 0, done.stdout[-5000:]
    return ROOT


@pytest.fixture(scope="session")
def pristine(study, tmp_path_factory) -> Path:
    """A copy of the finished study, with Snakemake's records."""
    copy = tmp_path_factory.mktemp("pristine") / "study"
    for name in [*SOURCES, "results", ".snakemake/metadata"]:
        source = study / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, make_parent(copy / name))
    return copy


def make_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def study_copy(pristine, tmp_path) -> Path:
    """A copy of the finished study that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "study"))


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the workflow without results."""
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, tmp_path / name)
    return tmp_path


def pytest_collection_finish(session):
    session.config.stash[FAULTS_OF] = numbers_of(session.items)


def pytest_terminal_summary(terminalreporter, config):
    numbers = config.stash.get(FAULTS_OF, {})
    if numbers:
        kinds = ("passed", "skipped", "failed", "error")  # a failed teardown counts as an error
        outcomes = {report.nodeid: kind for kind in kinds for report in terminalreporter.stats.get(kind, [])}
        terminalreporter.section("faults and the results of their tests")
        terminalreporter.write_line("\n".join(table(numbers, outcomes)))
