"""The jobs that Snakemake would start, as data: from the log records of a dry run, not from its printed text."""

import io
import json
import logging
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent


@dataclass
class Job:
    """A planned job: its wildcards by name, its outputs, the file of its measured time (None if none), its GPUs."""

    rule: str
    wildcards: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    timing: str | None = None
    gpus: int = 0

    def written(self) -> list[str]:
        """The names of its outputs: the teachers, if there is one output per teacher."""
        return [Path(output).stem for output in self.outputs]


class JobCollector(logging.Handler):
    """A handler for Snakemake's logger that keeps the jobs."""

    def __init__(self):
        super().__init__()
        self.jobs: list[Job] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            gpus = record.resources.get("gpu", 0)
            outputs = list(record.output)
            self.jobs.append(Job(record.rule_name, dict(record.wildcards), outputs, record.benchmark, gpus))


def dry_runs(config: dict, arguments: list[list[str]]) -> list[list[Job]]:
    """The jobs of one dry run for each list of arguments (["all", "--forceall"]), for a complete configuration.

    They run in another process, since Snakemake prints and changes global state. Exits with its output if one fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(config, file)
        file.flush()
        commands = [["-n", *words, "--configfile", file.name] for words in arguments]
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return list(process.map(dry_run, commands))


def dry_run(command: list[str]) -> list[Job]:
    """The jobs of one dry run, in this process."""
    from snakemake.cli import main

    collector, printed = JobCollector(), io.StringIO()
    parent = logging.getLogger("snakemake")  # Snakemake removes the handlers of its own logger, not those of its parent
    parent.addHandler(collector)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            main(command)
    except SystemExit as end:
        if end.code:
            raise SystemExit(f"{printed.getvalue()}{end.code if isinstance(end.code, str) else ''}") from None
    finally:
        parent.removeHandler(collector)
    return collector.jobs
