"""A line for each finished job: how many are done, which one it was, and about how long the others will take.

For `snakemake --quiet all`, which is silent otherwise, also about its own errors.
"""

import logging
import sys
import time

from snakemake_interface_logger_plugins.common import LogEvent

from scripts.jobs.failed_jobs import name_of


class Progress(logging.Handler):
    """A handler for Snakemake's logger that prints the lines; the job that only collects the results has none."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.names: dict[int, str] = {}  # of started jobs, by Snakemake's number of the job
        self.started = time.monotonic()
        self.finished = ""

    def emit(self, record: logging.LogRecord) -> None:
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO:
                self.names[record.jobid] = name_of(record.rule_name, record.wildcards)
            case LogEvent.JOB_FINISHED:
                self.finished = self.names.get(record.job_id, "")
            case LogEvent.PROGRESS if record.done < record.total:
                seconds = (time.monotonic() - self.started) / record.done * (record.total - record.done)
                print(line_of(record.done, record.total - 1, self.finished, seconds), file=sys.stderr, flush=True)
            case LogEvent.ERROR:
                print(record.getMessage(), file=sys.stderr, flush=True)


def line_of(done: int, total: int, finished: str, seconds: float) -> str:
    """For example `12 of 75 jobs done, about 6 minutes left (finetune base=alpha teacher=plain-small)`."""
    minutes = round(seconds / 60)
    left = "" if done == total else f", about {minutes} minute{'s' * (minutes != 1)} left"
    if not minutes:
        left = left and ", less than a minute left"
    return f"{done} of {total} jobs done{left} ({finished})"
