"""Start a job as a fork of the fork server (fork_server.py) of this run, if there is one."""

import array
import hashlib
import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.jobs.code import modules_of, path_of

# what the interpreter and the libraries read when they start: a job with another value does not use the server
READ_AT_START = ("HOME", "XDG_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "PYTHON", "LD_", "LC_", "LANG")
NOT_READ = {"PYTHONPATH", "PYTHONUTF8"}  # the server sets the one for each job; itself and its jobs are in UTF-8 mode
IMPORT = re.compile(r"^ *(from|import) (torch|transformers|trl)\b", flags=re.M)


def socket_path(folder: Path, environment: Mapping[str, str]) -> Path:
    """The socket of a server with this interpreter, and with these settings of the libraries."""
    settings = {k: v for k, v in environment.items() if k.startswith(READ_AT_START) and k not in NOT_READ}
    return folder / hashlib.sha256(json.dumps([sys.prefix, sorted(settings.items())]).encode()).hexdigest()[:16]


def loaded_mark(path: Path) -> Path:
    """The file that says that a server has loaded its libraries."""
    return path.with_suffix(".loaded")


def loads_models(script: str) -> bool:
    """Whether a script imports the libraries of models, at its top or within a function."""
    return any(IMPORT.search(path_of(module).read_text(encoding="utf-8")) for module in modules_of(script))


def run_script(arguments: list[str]) -> int | None:
    """Run a script of scripts/ with its arguments; its exit status, or None if it has to be started otherwise.

    A script that loads a model waits for the server to load the libraries; it would take as long itself.
    """
    if "FORK_SERVER" not in os.environ or "DEVICES_ASSIGNED" in os.environ:  # a job of a cluster stays where it is
        return None
    path = socket_path(Path(os.environ["FORK_SERVER"]), os.environ)
    if not loaded_mark(path).exists() and not loads_models(arguments[0]):
        return None
    return fork(path, arguments, Path.cwd(), os.environ, [0, 1, 2])


def fork(path: Path, arguments: list[str], cwd: Path, environment: Mapping, descriptors: list[int]) -> int | None:
    """Run `python -m arguments` as a fork of the server; its exit status, or None if no server has started it.

    The descriptors are stdin, stdout and stderr of the process.
    """
    request = json.dumps({"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            sent = connection.sendmsg([request], rights)
            connection.sendall(request[sent:])
            replies = connection.makefile("rb")
            if not replies.readline():
                return None
        except OSError:
            return None
        status = int(replies.readline() or 1)  # without a status the server has ended, and its jobs with it
    return status if status >= 0 else 128 - status  # as a shell says that a signal ended a job
