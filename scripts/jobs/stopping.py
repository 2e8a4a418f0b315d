"""A run that is stopped ends its jobs instead of waiting for them: what they have stored is kept."""

import signal
import sys
import threading
from contextlib import suppress

import psutil


def end_jobs_when_stopped() -> None:
    """On SIGTERM, and on Ctrl-C, end all jobs of this run, which then ends as one whose jobs have failed.

    Snakemake alone waits for its jobs on SIGTERM, which may take hours, and on Ctrl-C it can wait for its own lock: its
    handler runs in the thread that holds it. So its handler, after which it starts no job, gets a thread of its own.
    """
    start_no_more = signal.getsignal(signal.SIGTERM)

    def end_jobs(number: int, frame) -> None:
        print("stopped: ending the jobs. The same command resumes them", file=sys.stderr, flush=True)
        threading.Thread(target=start_no_more, args=(number, frame)).start()
        for job in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                job.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end_jobs)
