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
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CUDA", "SLURM"))}
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


def test_devices_stay_locked_until_the_last_process_of_a_job_ends(job, tmp_path):
    child = "import os, time; os.fork() or (os.setsid(), time.sleep(3), os._exit(0)); time.sleep(0.2)"
    (tmp_path / "forks.py").write_text(child)
    variables = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
    started = time.monotonic()
    command = [*RUN_JOB, "--gpus", "1", sys.executable, str(tmp_path / "forks.py")]
    parent = subprocess.Popen(command, env=variables)
    parent.wait()
    assert time.monotonic() - started < 2.5  # the job has ended, its child has not
    assert job(1, "next", CUDA_VISIBLE_DEVICES="0").wait() == 0
    assert notes(tmp_path)[0][1] - time.time() + time.monotonic() - started > 2.5


@pytest.mark.parametrize(
    "gpus, environment, seen",
    [
        (1, {"CUDA_VISIBLE_DEVICES": "GPU-1a2b,GPU-3c4d"}, "GPU-1a2b"),  # UUIDs
        (0, {}, ""),  # a job without GPUs sees none
        (3, {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "5,6,7"}, "5,6,7"),  # assigned by Slurm
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


@pytest.mark.fault(2)
def test_a_job_dies_with_the_process_that_started_it(job, tmp_path):
    script = tmp_path / "starts.py"
    script.write_text(f"import subprocess; subprocess.Popen({[*RUN_JOB, 'sleep', '60']!r}).wait()")
    parent = subprocess.Popen([sys.executable, str(script)])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    wait_for(lambda: children.read_text(encoding="utf-8").split() and of(children, "comm") == "sleep\n")
    child = children.read_text(encoding="utf-8").split()[0]
    parent.send_signal(signal.SIGKILL)
    stat = Path(f"/proc/{child}/stat")
    wait_for(lambda: not stat.exists() or " Z " in stat.read_text(encoding="utf-8"))


def of(children, name):
    return Path(f"/proc/{children.read_text().split()[0]}/{name}").read_text(encoding="utf-8")
