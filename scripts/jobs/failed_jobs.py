"""The ends of the logs of failed jobs, which name the cause and what to do.

Snakemake reports what happens as log records with fields (rule_name, wildcards, log ...); no text is parsed here.
"""

import logging
import re
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

LINES = 12  # of each log
PROGRESS = re.compile(r"\d+%\||it/s\]|row/s\]")


class FailedJobs(logging.Handler):
    """A handler for Snakemake's logger that remembers jobs that failed, except those that succeeded when restarted."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.names: dict[int, str] = {}  # of started jobs, by Snakemake's number of the job
        self.logs: dict[int, list[Path]] = {}  # of failed jobs

    def emit(self, record: logging.LogRecord) -> None:
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO:
                self.names[record.jobid] = name_of(record.rule_name, record.wildcards)
            case LogEvent.JOB_ERROR:
                self.names.setdefault(record.jobid, record.rule_name)
                self.logs[record.jobid] = [Path(log) for log in record.log]
            case LogEvent.JOB_FINISHED:
                self.logs.pop(record.job_id, None)

    def ends_of_logs(self) -> str:
        """The last lines of every log of every failed job."""
        return "\n".join(
            f"\n{self.names[job]} failed. {end_of(log)}" for job, logs in self.logs.items() for log in logs
        )


def name_of(rule: str, wildcards: dict[str, str]) -> str:
    """For example `finetune base=alpha teacher=plain-small`; `run=@1` only for another than the first training run."""
    return " ".join([rule, *(f"{name}={value}" for name, value in wildcards.items() if value)])


def end_of(log: Path) -> str:
    """The last lines of a log without progress bars, under a line that names the file."""
    if not log.exists():
        return f"Its log {log}: no such file"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line for line in lines if line.strip() and not PROGRESS.search(line)][-LINES:]
    lines = lines or ["(empty: was the job killed, or did it run out of memory?)"]
    return "\n  ".join([f"The end of {log}:", *lines])
