"""No two jobs use one GPU, and a job ends with the run that started it."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import polars as pl
import pytest

from scripts.jobs.aligned import aligned
from scripts.tables.files import write_table

RUN_JOB = [sys.executable, "-m", "scripts.jobs.run_job"]
# a job that writes when it holds which devices; one write per line, so lines of several jobs do not mix
HOLD = """
import json, os, sys, time
def note(event):
    line = json.dumps([event, time.time(), os.environ.get("CUDA_VISIBLE_DEVICES"), sys.argv[2]]) + "\\n"
    os.write(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT), line.encode())
note("from")
time.sleep(float(sys.argv[3]))
note("to")
"""


@pytest.fixture
def job(tmp_path):
    """Starts a job that holds n devices for some seconds and writes to the file `notes`."""
    script = tmp_path / "hold.py"
    script.write_text(HOLD)

    def start(gpus, name="job", seconds=0.3, **environment):
        own = {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1,2,3"} | environment
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CUDA", "SLURM", "DEVICES"))}
        variables = inherited | {k: v for k, v in own.items() if v is not None}
        command = [*RUN_JOB, "--gpus", gpus, sys.executable, script, tmp_path / "notes", name, seconds]
        return subprocess.Popen(list(map(str, command)), env=variables, stderr=subprocess.PIPE, text=True)

    return start


def notes(folder):
    return [json.loads(line) for line in (folder / "notes").read_text().splitlines()]


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_device_is_held_by_one_job_at_a_time(job, tmp_path):
    jobs = [job(n, f"{i}") for i, n in enumerate([1, 2, 3, 1, 4, 2, 1, 2])]
    assert [process.wait() for process in jobs] == [0] * 8
    held = {}
    for event, at, devices, name in notes(tmp_path):
        for device in devices.split(","):
            held.setdefault(device, []).append((at, event, name))
    assert set(held) == set("0123")
    for events in held.values():
        ordered = sorted(events)
        assert [event for _, event, _ in ordered] == ["from", "to"] * (len(ordered) // 2)
        assert all(a[2] == b[2] for a, b in zip(ordered[::2], ordered[1::2], strict=True))
    assert sorted(len(d.split(",")) for event, _, d, _ in notes(tmp_path) if event == "from") == [
        1,
        1,
        1,
        2,
        2,
        2,
        3,
        4,
    ]


def test_a_killed_job_releases_its_devices(job, tmp_path):
    holder = job(4, "killed", seconds=60)
    wait_for(lambda: (tmp_path / "notes").exists())
    waiting = job(4, "waiting")
    time.sleep(0.5)
    assert waiting.poll() is None
    holder.send_signal(signal.SIGKILL)
    assert waiting.wait() == 0 and notes(tmp_path)[-1][3] == "waiting"


def test_jobs_that_need_two_devices_are_not_delayed_by_each_other_or_by_later_small_jobs(job, tmp_path):
    first = [job(1, f"small-{i}", seconds=0.8, CUDA_VISIBLE_DEVICES="0,1") for i in range(2)]
    wait_for(lambda: (tmp_path / "notes").exists() and len(notes(tmp_path)) == 2)
    large = [job(2, f"large-{i}", CUDA_VISIBLE_DEVICES="0,1") for i in range(2)]
    time.sleep(0.4)  # they are in the queue
    late = [job(1, f"late-{i}", CUDA_VISIBLE_DEVICES="0,1") for i in range(6)]
    assert [process.wait() for process in [*first, *large, *late]] == [0] * 10
    order = [name for event, _, _, name in notes(tmp_path) if event == "from"]
    assert {name.split("-")[0] for name in order[2:3]} == {"large"}  # the first of the queue was the next to run


# a job that starts a worker in a session of its own, as engines do; both write their numbers
WORKER = """
import os, pathlib, sys, time
worker = os.fork()
if not worker:
    os.setsid()
pathlib.Path(sys.argv[2 if worker else 1]).write_text(str(os.getpid()))
time.sleep(0.5 if worker and len(sys.argv) > 3 else 60)
"""


@pytest.fixture
def with_worker(tmp_path):
    """Starts a job with a worker; the job itself may end soon, its worker does not."""
    (tmp_path / "worker.py").write_text(WORKER)
    command = [*RUN_JOB, "--gpus", "1", sys.executable, *(str(tmp_path / n) for n in ("worker.py", "worker", "job"))]

    def start(*more, starter=()):
        variables = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
        process = subprocess.Popen([*starter, *command, *more], env=variables)
        wait_for(lambda: all((tmp_path / n).exists() and (tmp_path / n).read_text() for n in ("worker", "job")))
        return process, int((tmp_path / "worker").read_text()), int((tmp_path / "job").read_text())

    return start


def runs(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and " Z " not in stat.read_text(encoding="utf-8")


def test_a_worker_that_a_job_leaves_ends_with_it_and_its_device_is_free(with_worker, job):
    process, worker, _ = with_worker("ends soon")
    assert process.wait() == 0 and not runs(worker)
    assert job(1, "next", CUDA_VISIBLE_DEVICES="0").wait(20) == 0


@pytest.mark.fault(2)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_and_its_workers_end_with_the_process_that_started_them(with_worker, number):
    code = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent, worker, child = with_worker(starter=[sys.executable, "-c", code])
    parent.send_signal(number)
    wait_for(lambda: not runs(child) and not runs(worker))


def test_a_job_that_is_stopped_says_so_and_one_that_is_killed_names_the_usual_cause(tmp_path):
    stopped = subprocess.Popen([*RUN_JOB, "sleep", "60"], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text(encoding="utf-8"))
    stopped.terminate()
    assert stopped.communicate()[1] == "\nended: the run was stopped\n" and stopped.returncode == 1
    killed = subprocess.run([*RUN_JOB, "sh", "-c", "kill -9 $$"], stderr=subprocess.PIPE, text=True)
    assert "too little memory?" in killed.stderr and killed.returncode == 137


def test_a_device_whose_job_was_killed_stays_locked_while_a_worker_lives_and_the_next_job_names_it(with_worker, job):
    process, worker, child = with_worker()
    process.send_signal(signal.SIGKILL)  # it cannot end the worker
    wait_for(lambda: not runs(child))
    waiting = job(1, "waiting", CUDA_VISIBLE_DEVICES="0")
    assert waiting.stderr.readline() == f"waiting for GPUs: 1 needed. 0 is held by process {worker}\n"
    os.kill(worker, signal.SIGKILL)
    assert waiting.wait(20) == 0


@pytest.mark.parametrize(
    "gpus, environment, seen",
    [
        (1, {"CUDA_VISIBLE_DEVICES": "GPU-1a2b,GPU-3c4d"}, "GPU-1a2b"),  # UUIDs
        (0, {}, ""),  # a job without GPUs sees none
        (3, {"DEVICES_ASSIGNED": "yes", "CUDA_VISIBLE_DEVICES": "5,6,7"}, "5,6,7"),  # by a cluster
        (1, {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "5,6,7"}, "5"),  # within an allocation
        (2, {"CUDA_VISIBLE_DEVICES": None, "PATH": "/nowhere"}, None),  # no nvidia-smi: a machine without a GPU
    ],
)
def test_the_devices_that_a_job_sees(job, tmp_path, gpus, environment, seen):
    assert job(gpus, **environment).wait() == 0
    assert notes(tmp_path)[0][2] == seen


def test_a_job_that_needs_more_devices_than_the_machine_has_ends_with_one_line(job):
    process = job(3, CUDA_VISIBLE_DEVICES="0,1")
    message = process.communicate()[1]
    assert message == "GPUs needed by this job: 3; available: 2 (0,1). See `gpus` in the config\n"
    assert process.returncode == 1


def test_replicas_share_the_devices_and_one_that_fails_ends_the_others(tmp_path):
    notes, script = tmp_path / "notes", tmp_path / "script.py"
    script.write_text(
        "import os, sys, time; mine = os.environ['REPLICA'], os.environ['CUDA_VISIBLE_DEVICES']\n"
        f"file = os.open({str(notes)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "os.write(file, (' '.join(mine) + '\\n').encode())\n"
        "if len(sys.argv) > 1: mine[0] == '1/2' and sys.exit(7); time.sleep(60)\n"
    )
    variables = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    command = [*RUN_JOB, "--gpus", "4", "--replicas", "2", sys.executable, str(script)]
    assert subprocess.run(command, env=variables).returncode == 0
    assert sorted(notes.read_text().splitlines()) == ["0/2 0,1", "1/2 2,3"]
    started = time.monotonic()
    assert subprocess.run([*command, "fail"], env=variables).returncode == 7
    assert time.monotonic() - started < 30


def test_replicas_write_what_one_process_writes(tmp_path):
    names = ["a", "b", "c"]
    for name in names:
        texts = {"id": ["1", "2"], "teacher": [name] * 2, "response": [name * 40, "another text"], "reason": [None] * 2}
        write_table(pl.DataFrame(texts, schema_overrides={"reason": pl.String}), tmp_path / f"{name}.parquet")
    for folder, replicas in (("one", "1"), ("three", "2")):
        (tmp_path / folder).mkdir()
        command = [*RUN_JOB, "--replicas", replicas, "scripts.ranking.measure_diversity", "--teachers", *names]
        command += ["--responses", *(str(tmp_path / f"{name}.parquet") for name in names)]
        outputs = [str(tmp_path / folder / f"{name}.parquet") for name in names]
        assert subprocess.run([*command, "--outputs", *outputs]).returncode == 0
    for name in names:
        one, three = (pl.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in ("one", "three"))
        assert one.equals(three) and one["teacher"].to_list() == [name] * 2


@pytest.mark.parametrize("responses, outputs", [(2, 3), (3, 1)])
def test_arguments_with_different_numbers_of_values_are_named_and_no_output_is_written_twice(responses, outputs):
    given = Namespace(teachers=["t"] * 3, responses=["r"] * responses, outputs=["o"] * outputs)
    with pytest.raises(SystemExit, match=f"match: --teachers 3, --responses {responses}, --outputs {outputs}"):
        aligned(given, "teachers", "responses", "outputs")


def test_the_devices_are_those_of_nvidia_smi(job, tmp_path):
    tool = tmp_path / "bin/nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho GPU-aaaa\necho GPU-bbbb\n")
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    assert job(2, CUDA_VISIBLE_DEVICES=None, PATH=path).wait() == 0
    assert notes(tmp_path)[0][2] == "GPU-aaaa,GPU-bbbb"


def test_two_allocations_of_slurm_do_not_wait_for_each_other(job, tmp_path):
    holder = job(1, "one", seconds=60, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="1")
    wait_for(lambda: (tmp_path / "notes").exists())
    assert job(1, "two", CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="2").wait(20) == 0
    same = job(1, "three", CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="1")
    assert same.stderr.readline().startswith("waiting for GPUs: 1 needed. 0 is held by process ")
    holder.terminate()
    assert same.wait(20) == 0
