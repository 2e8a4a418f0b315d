"""A job that is forked does what one that is started by itself does, and ends when nobody waits for it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.jobs.fork_server import start_fork_server
from scripts.jobs.forking import fork, loaded_mark, loads_models, run_script, socket_path

JOB = """
import json, os, sys, tempfile, time
import torch
if sys.argv[1] == "sleep":
    child = os.fork()
    open(sys.argv[2 if child else 3], "w").write(str(os.getpid()))
    time.sleep(120)
if sys.argv[1] == "die":
    os.kill(os.getpid(), 11)
keys = ["X", "OMP_NUM_THREADS", "TMPDIR", "PYTHONPATH"]
seen = {key: os.environ.get(key) for key in keys}
seen |= {"cwd": os.getcwd(), "name": __name__, "path": sys.path, "argv": sys.argv, "temp": tempfile.gettempdir()}
seen |= {"threads": torch.get_num_threads(), "scripts": sorted(m for m in sys.modules if m.startswith("scripts"))}
print(json.dumps(seen))
print("to stderr", file=sys.stderr)
sys.exit(sys.argv[1])
"""


@pytest.fixture(scope="module")
def server() -> Path:
    """The socket of a server: that of all tests, or one of this file."""
    if "FORK_SERVER" not in os.environ:
        start_fork_server()
    return socket_path(Path(os.environ["FORK_SERVER"]), os.environ)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "job.py").write_text(JOB, encoding="utf-8")
    (tmp_path / "other").mkdir()
    return tmp_path


def forked(server, folder, *arguments, **variables) -> tuple[int, str, str]:
    """Status, stdout and stderr of a job that is forked."""
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        descriptors = [0, stdout.fileno(), stderr.fileno()]
        status = fork(server, ["job", *arguments], folder, os.environ | variables, descriptors)
    return status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


def test_a_forked_job_has_what_a_started_one_has(server, folder):
    variables = {"X": "é", "OMP_NUM_THREADS": "2", "TMPDIR": str(folder / "other"), "PYTHONPATH": str(folder / "other")}
    status, out, err = forked(server, folder, "failed: é", **variables)
    command = [sys.executable, "-m", "job", "failed: é"]
    started = subprocess.run(command, cwd=folder, env=os.environ | variables, capture_output=True, text=True)
    assert (status, err) == (started.returncode, started.stderr) == (1, "to stderr\nfailed: é\n")
    assert json.loads(out) == json.loads(started.stdout)
    assert json.loads(out)["threads"] == 2


def test_a_job_that_a_signal_ends_has_the_status_that_a_shell_gives(server, folder):
    assert forked(server, folder, "die")[0] == 128 + signal.SIGSEGV


def test_a_job_and_its_processes_end_when_the_process_that_waits_for_it_is_killed(server, folder):
    code = f"import os; from pathlib import Path; from scripts.jobs.forking import fork; fork(Path({str(server)!r}), "
    code += f"['job', 'sleep', 'parent', 'child'], Path({str(folder)!r}), os.environ, [0, 1, 2])"
    waiting = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: all((folder / name).exists() and (folder / name).read_text() for name in ("parent", "child")))
    waiting.send_signal(signal.SIGKILL)
    for name in ("parent", "child"):
        process = Path("/proc") / (folder / name).read_text(encoding="utf-8")
        wait_for(lambda process=process: not process.exists())


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_job_of_a_cluster_or_with_other_settings_of_the_libraries_is_not_forked(server, monkeypatch):
    wait_for(loaded_mark(server).exists)
    script = ["scripts.configuration.save_config", "--help"]
    assert run_script(script) == 0
    for name in ("DEVICES_ASSIGNED", "HF_HOME"):
        with monkeypatch.context() as changed:
            changed.setenv(name, "1")
            assert run_script(script) is None
    monkeypatch.delenv("FORK_SERVER")
    assert run_script(script) is None


def test_only_scripts_that_import_the_libraries_of_models_wait_for_them(server, monkeypatch, tmp_path):
    assert loads_models("scripts.finetuning.finetune") and loads_models("scripts.likelihoods.score_likelihoods")
    assert not loads_models("scripts.ranking.rank_teachers")
    monkeypatch.setenv("FORK_SERVER", str(tmp_path))
    assert run_script(["scripts.ranking.rank_teachers", "--help"]) is None  # nothing is loaded there


def test_the_server_ends_with_the_process_that_started_it(tmp_path):
    code = "import os; from scripts.jobs.fork_server import start_fork_server; start_fork_server()\n"
    code += "print(os.environ['FORK_SERVER'], flush=True); {}"
    clean = {name: value for name, value in os.environ.items() if name != "FORK_SERVER"}
    ended = subprocess.run([sys.executable, "-c", code.format("")], env=clean, capture_output=True, text=True)
    assert ended.returncode == 0 and not Path(ended.stdout.strip()).exists()
    killed = "os.kill(os.getpid(), 9)"
    folder = subprocess.run(
        [sys.executable, "-c", code.format(killed)], env=clean, capture_output=True, text=True
    ).stdout
    wait_for(lambda: not processes_with(folder.strip()))


def processes_with(word: str) -> list[Path]:
    """The processes that have a word in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path)
        except OSError:  # it has just ended
            continue
    return found
