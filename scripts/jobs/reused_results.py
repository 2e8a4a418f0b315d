"""Whether results are reused that other code computed: a VERSION was not raised, but the code behind it has changed."""

import json
from pathlib import Path

from scripts.jobs.code import digest_of_code, versions_of
from scripts.tables.text_files import write_json


def record_code(scripts: list[str], record: Path) -> None:
    """Note with which VERSIONs and which code the jobs of a run compute."""
    known = read(record)
    for script in scripts:
        computed = known.setdefault(script, {}).setdefault(versions_of(script), [])
        if digest_of_code(script) not in computed:
            computed.append(digest_of_code(script))
    record.parent.mkdir(parents=True, exist_ok=True)
    write_json(known, record)


def notice_of_reuse(record: Path) -> str | None:
    """One line that names the scripts whose code is not what computed their results; None where there is none."""
    changed = [
        script
        for script, computed in read(record).items()
        if digest_of_code(script) not in computed.get(versions_of(script), [digest_of_code(script)])
    ]
    if not changed:
        return None
    versioned = sorted({module for script in changed for module in json.loads(versions_of(script))})
    return (
        f"Note: the code of {', '.join(changed)} has changed under the same VERSION: finished results are reused. "
        f"To compute them again, raise VERSION in {' or '.join(versioned)} (docs/reruns.md)."
    )


def read(record: Path) -> dict[str, dict[str, list[str]]]:
    """Script to VERSIONs to digests of the code that computed results."""
    return json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
