"""End a process with all that it has started: a job with its workers, when the run that started it ends."""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent ends. Elsewhere than on Linux nothing happens."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # the parent ended before the call
            sys.exit("the run that started this job has ended")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, also of one in a session of its own (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_descendants() -> None:
    """Kill the children of this process until there are none; after adopt_orphans() these are all its descendants.

    Call it from the main thread of a process without others.
    """
    children = Path("/proc/thread-self/children")
    while found := children.read_text(encoding="utf-8").split() if children.exists() else []:
        for child in map(int, found):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
