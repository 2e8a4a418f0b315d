"""Starts jobs that have their libraries loaded: it imports them once, and forks a process for each job.

To import transformers and TRL takes 5 to 15 seconds, as long as many a job with a small model works. A run that is to
load models several times starts this server, and run_job.py gives it the jobs that use no GPU: CUDA does not work in a
fork of a process that has asked for devices. Only libraries are loaded here; a job reads scripts/ when it starts.

A request is one line of JSON: the job's arguments, folder and environment. With it come its descriptors: stdin, stdout
and stderr. The first reply says that the job has started, the second one its exit status. If the other side
closes the connection before that, the job is killed with all its processes.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

from scripts.jobs.descendants import adopt_orphans, die_with_parent, end_descendants
from scripts.jobs.forking import loaded_mark, socket_path


def serve_and_run() -> None:
    """Serve; in each forked process, run its job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the run
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork")  # the threads of an allocator, which are safe
    mark, listening, *modules = sys.argv[1:]
    request, descriptors = serve(int(listening), Path(mark), modules)  # returns in the processes of jobs
    become(request, descriptors)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def start_fork_server(*modules: str) -> None:
    """Start the server, which ends with this process; FORK_SERVER in the environment names its folder.

    It imports these modules, too.
    """
    folder = tempfile.mkdtemp(prefix="forks-", dir="/tmp")  # the path of a socket has at most 107 characters
    os.environ["FORK_SERVER"] = folder
    environment = os.environ | {"PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    path = socket_path(Path(folder), environment)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(100)  # jobs that come early wait here
        command = [sys.executable, "-m", "scripts.jobs.fork_server", str(loaded_mark(path)), str(listening.fileno())]
        server = subprocess.Popen(
            [*command, *modules],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            preexec_fn=die_with_parent,
        )
    atexit.register(end, server, folder)


def end(server: subprocess.Popen, folder: str) -> None:
    server.kill()
    server.wait()
    shutil.rmtree(folder)


def without_gpus() -> bool:
    """Whether this is a machine where a job can be forked: a Linux without devices of NVIDIA or AMD."""
    return sys.platform == "linux" and not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd"))


def serve(listening: int, mark: Path, modules: list[str]) -> tuple[dict, list[int]]:
    """Accept jobs for as long as this process lives; the file `mark` says that the libraries are loaded.

    Returns in the process of each job, with its request and its descriptors.
    """
    with socket.socket(fileno=listening) as server:
        load_libraries(modules)
        gc.freeze()  # a collection in a job then copies nothing of what it shares with this process
        mark.touch()
        signal.signal(signal.SIGCHLD, reap)
        while True:
            connection, _ = server.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    server.close()
                    return start_and_watch(connection)


def load_libraries(modules: list[str]) -> None:
    import scipy.stats  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    path = [*sys.path]
    for module in modules:
        importlib.import_module(module)
    sys.path[:] = path  # Snakemake adds a folder to it


def reap(*_) -> None:
    """Take note of processes that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def start_and_watch(connection: socket.socket) -> tuple[dict, list[int]]:
    """Start the job that a connection asks for as a child of this process, in which alone this function returns."""
    die_with_parent()
    adopt_orphans()
    line, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while line and not line.endswith(b"\n"):
        line += connection.recv(1 << 16)
    job = os.fork()
    if job == 0:
        return json.loads(line), descriptors
    for descriptor in descriptors:
        os.close(descriptor)
    with suppress(BrokenPipeError):
        connection.sendall(b"started\n")
    ended = os.pidfd_open(job)
    status = -signal.SIGKILL
    if connection not in select.select([connection, ended], [], [])[0]:
        status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    end_descendants()
    with suppress(BrokenPipeError):
        connection.sendall(b"%d\n" % status)
    os._exit(0)


def become(request: dict, descriptors: list[int]) -> None:
    """Give this process what `python -m arguments` would have, in the folder and with the environment of a request."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    installed = sys.path[1 + len(folders_of(os.environ)) :]
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.path[:] = [request["cwd"], *folders_of(os.environ), *installed]
    sys.argv[:] = request["arguments"]
    for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
        del sys.modules[name]
    tempfile.tempdir = None
    if n_threads := os.environ.get("OMP_NUM_THREADS"):
        sys.modules["torch"].set_num_threads(int(n_threads))


def folders_of(environment) -> list[str]:
    """The folders that PYTHONPATH names."""
    return [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]


if __name__ == "__main__":
    serve_and_run()
