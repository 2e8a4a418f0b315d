"""What a run that failed shows of its failed jobs: the end of each log, where the cause and the fix stand."""

import re
from pathlib import Path

SHOWN = 12  # lines of a log
PROGRESS = re.compile(r"\d+%\||it/s\]|row/s\]")


def ends_of_logs(run_log: Path) -> str:
    """The last lines of the log of every job that failed, read from Snakemake's own log of the run."""
    failed = re.findall(
        r"^Error in (?:group job for )?rule (\w+).*?^    log: (\S+)", run_log.read_text(encoding="utf-8"), re.M | re.S
    )
    return "\n".join(end_of(rule, Path(log)) for rule, log in dict.fromkeys(failed))


def end_of(rule: str, log: Path) -> str:
    """The last lines of one log without its progress bars, which write many."""
    said = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    lines = [line for line in said if line.strip() and not PROGRESS.search(line)]
    told = [f"  {line}" for line in lines[-SHOWN:]] or ["  it said nothing: killed, or out of memory?"]
    return "\n".join([f"\n{rule} failed. The end of {log}:", *told])
