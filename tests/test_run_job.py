"""Jobs have GPUs to themselves and end with the run that started them; a folder has one run at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN_JOB = [sys.executable, "-m", "scripts.jobs.run_job"]
# a job: notes when it holds which devices, in one line each, so that lines of several do not mix
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
    """Starts a job that holds n devices for some seconds; what it noted."""
    script = tmp_path / "hold.py"
    script.write_text(HOLD)

    def start(gpus, name="job", seconds=0.3, **environment):
        given = {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1,2,3"} | environment
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CUDA", "SLURM"))}
        kept |= {k: v for k, v in given.items() if v is not None}
        command = [*RUN_JOB, "--gpus", gpus, sys.executable, script, tmp_path / "notes", name, seconds]
        return subprocess.Popen(list(map(str, command)), env=kept, stderr=subprocess.PIPE, text=True)

    return start


def notes(folder):
    return [json.loads(line) for line in (folder / "notes").read_text().splitlines()]


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_two_jobs_hold_one_device_at_the_same_time(job, tmp_path):
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


def test_a_killed_holder_frees_its_devices(job, tmp_path):
    holder = job(4, "killed", seconds=60)
    wait_for(lambda: (tmp_path / "notes").exists())
    waiting = job(4, "waiting")
    time.sleep(0.5)
    assert waiting.poll() is None
    holder.send_signal(signal.SIGKILL)
    assert waiting.wait() == 0 and notes(tmp_path)[-1][3] == "waiting"


def test_two_jobs_that_wait_for_two_devices_each_do_not_starve_each_other_or_behind_small_ones(job, tmp_path):
    first = [job(1, f"small-{i}", seconds=0.8, CUDA_VISIBLE_DEVICES="0,1") for i in range(2)]
    wait_for(lambda: (tmp_path / "notes").exists() and len(notes(tmp_path)) == 2)
    large = [job(2, f"large-{i}", CUDA_VISIBLE_DEVICES="0,1") for i in range(2)]
    time.sleep(0.4)  # they stand in line
    late = [job(1, f"late-{i}", CUDA_VISIBLE_DEVICES="0,1") for i in range(6)]
    assert [process.wait() for process in [*first, *large, *late]] == [0] * 10
    order = [name for event, _, _, name in notes(tmp_path) if event == "from"]
    assert {name.split("-")[0] for name in order[2:3]} == {"large"}  # nobody passed the first in line


def test_a_lease_outlives_its_job_as_long_as_a_process_of_it_is_left(job, tmp_path):
    child = "import os, time; os.fork() or (os.setsid(), time.sleep(1.5), os._exit(0)); time.sleep(0.2)"
    (tmp_path / "forks.py").write_text(child)
    given = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
    started = time.monotonic()
    parent = subprocess.Popen([*RUN_JOB, "--gpus", "1", str(tmp_path / "forks.py")], env=given)
    parent.wait()
    assert time.monotonic() - started < 1.2  # the job is over, its child is not
    assert job(1, "next", CUDA_VISIBLE_DEVICES="0").wait() == 0
    assert notes(tmp_path)[0][1] - time.time() + time.monotonic() - started > 1.2


@pytest.mark.parametrize(
    "gpus, environment, seen",
    [
        (1, {"CUDA_VISIBLE_DEVICES": "GPU-1a2b,GPU-3c4d"}, "GPU-1a2b"),  # UUIDs
        (0, {}, ""),  # a job without GPUs sees none
        (3, {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "5,6,7"}, "5,6,7"),  # Slurm has given them
        (2, {"CUDA_VISIBLE_DEVICES": None, "PATH": "/nowhere"}, None),  # no nvidia-smi: a machine without a GPU
    ],
)
def test_what_a_job_sees(job, tmp_path, gpus, environment, seen):
    assert job(gpus, **environment).wait() == 0
    assert notes(tmp_path)[0][2] == seen


def test_more_devices_than_there_are_end_in_one_line(job):
    process = job(3, CUDA_VISIBLE_DEVICES="0,1")
    said = process.communicate()[1]
    assert (
        said == "this job asks for 3 GPUs, and 2 are here (0,1): see `gpus` in the config\n" and process.returncode == 1
    )


def test_devices_are_those_that_nvidia_smi_names(job, tmp_path):
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
