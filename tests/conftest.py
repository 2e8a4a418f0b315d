"""Fixtures of several tests: a tiny random model, and the finished miniature study."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from faults_table import table
from scripts.jobs.fork_server import start_fork_server
from scripts.jobs.forking import fork, socket_path

ROOT = Path(__file__).parent.parent
SOURCES = ["Snakefile", "rules", "scripts", "config", "envs", "profiles"]
# whole studies take longest, and one that starts last would leave the other process without work
LONGEST = ["judged_study", "slurm", "conversation_study", "real_base", "unpaired_study", "teacher_kinds"]
LONGEST += ["thinking_judge_study", "pilots_study"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of tests and of scripts: with small models, threads wait
os.environ["PYTHONPATH"] = str(ROOT)  # so that scripts can be started as modules from any folder


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="hold the outputs of costly stages under a new VERSION")


def pytest_sessionstart(session):
    """With several processes (make test), jobs and Snakemake start as forks of one process, as jobs of a study do."""
    if getattr(session.config.option, "numprocesses", None):
        start_fork_server("snakemake.cli")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with a base model with random weights and no chat template."""
    import torch  # it and transformers take seconds, which no test without a model should wait for

    from scripts.miniature.miniature_models import new_llama
    from scripts.miniature.miniature_tokenizer import byte_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    new_llama(tokenizer, hidden=32, layers=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_reward_model(tmp_path_factory, tiny) -> Path:
    """A folder with a sequence classifier with random weights and one output."""
    import torch
    from transformers import LlamaForSequenceClassification

    from scripts.miniature.miniature_tokenizer import byte_tokenizer

    folder = tmp_path_factory.mktemp("tiny-reward-model")
    torch.manual_seed(1)
    LlamaForSequenceClassification.from_pretrained(tiny, num_labels=1).save_pretrained(folder)
    byte_tokenizer((ROOT / "config/miniature/chat.jinja").read_text()).save_pretrained(folder)
    return folder


def snakemake(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """A finished run. In the repository one process of the tests waits for the other: it has one run at a time."""
    (ROOT / ".snakemake").mkdir(exist_ok=True)
    with FileLock(ROOT / ".snakemake/tests.lock") if cwd == ROOT else nullcontext():
        return run_module("snakemake", *arguments, cwd=cwd)


def run_module(*arguments, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """A finished `python -m arguments`, with stdout and stderr together."""
    command, python = list(map(str, arguments)), [sys.executable, "-m"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        status = None
        if "FORK_SERVER" in os.environ:
            path = socket_path(Path(os.environ["FORK_SERVER"]), os.environ)
            status = fork(path, command, cwd, os.environ, [0, printed.fileno(), printed.fileno()])
        if status is None:
            status = subprocess.run([*python, *command], cwd=cwd, stdout=printed, stderr=printed).returncode
        printed.seek(0)
        return subprocess.CompletedProcess(command, status, printed.read())


def link_workflow(folder: Path) -> Path:
    """Link the workflow into an empty folder, where a test can run a study with its own results."""
    for name in SOURCES:
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """A copy of the finished miniature study, with Snakemake's records; the first process that needs it makes it."""
    together = tmp_path_factory.getbasetemp()
    together = together.parent if "PYTEST_XDIST_WORKER" in os.environ else together
    copy = together / "pristine"
    with FileLock(together / "pristine.lock"):
        if not copy.exists():
            done = snakemake("--cores", "2", cwd=ROOT)
            assert done.returncode == 0, done.stdout[-5000:]
            for name in [*SOURCES, "results", ".snakemake/metadata"]:
                source = ROOT / name
                (shutil.copytree if source.is_dir() else shutil.copy2)(source, make_parent(together / "copying" / name))
            (together / "copying").rename(copy)
    return copy


@pytest.fixture(scope="session")
def study(pristine) -> Path:
    """The repository with the miniature study finished in results/miniature."""
    return ROOT


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


started = set()  # files of tests


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip a whole study of the slow tests that would begin after STUDIES_UNTIL (seconds since 1970), if it is set."""
    names = {f"test_{name}.py" for name in [*LONGEST, "runs", "scoring"]}
    whole = item.path.name in names and item.get_closest_marker("slow") and item.path not in started
    if whole and time.time() > float(os.environ.get("STUDIES_UNTIL", "inf")):
        pytest.skip("a study that would not end before the time limit of CI: run make test-all")
    started.add(item.path)


def pytest_collection_modifyitems(items):
    """The longest files first, and those that read the miniature last: while one process builds it, the other works."""
    study = {item.path for item in items if item.get_closest_marker("study")}
    first = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (first.get(item.path.name, len(first)), item.path in study))
    for item in items:
        item.user_properties += [("fault", mark.args[0]) for mark in item.iter_markers("fault")]


def pytest_terminal_summary(terminalreporter):
    numbers, outcomes = {}, {}
    for outcome in ("passed", "skipped", "failed", "error"):  # a failed teardown counts as an error
        for report in terminalreporter.stats.get(outcome, []):
            properties = getattr(report, "user_properties", ())  # a file that cannot be imported has none
            numbers[report.nodeid] = [number for name, number in properties if name == "fault"]
            outcomes[report.nodeid] = outcome
    if any(numbers.values()):
        terminalreporter.section("faults and the results of their tests")
        terminalreporter.write_line("\n".join(table(numbers, outcomes)))
