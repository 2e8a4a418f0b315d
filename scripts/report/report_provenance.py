"""Where a report's numbers come from: the code, the models, and what they took to compute."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import polars as pl

PACKAGES = ["snakemake", "torch", "transformers", "trl", "vllm", "datasets", "polars", "scipy", "scikit-learn"]


def git_commit(folder: Path) -> str:
    """The commit of the workflow, and whether files differ from it."""
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown: the workflow is no git repository here"
    return f"{commit}{' with changes' if changed else ''}"


def models_of(config: dict) -> list[dict]:
    """role, name, model and revision of every model that the study names."""
    sections = {"teachers": "teacher", "bases": "base model", "reward_models": "reward model"}
    sections |= {"reference_models": "reference model", "judges": "judge"}
    return [
        {"role": role, "name": name, "model": told["model"], "revision": told.get("revision")}
        for section, role in sections.items()
        for name, entry in config[section].items()
        if "model" in (told := entry.get("reward", entry))
    ]


def costs(timings: Path) -> list[dict]:
    """rule, jobs, seconds and the largest resident set in MB, of all jobs that Snakemake timed, the longest first."""
    rows = []
    for path in sorted(timings.rglob("*.tsv")):
        job = pl.read_csv(path, separator="\t", infer_schema_length=None, null_values=["NA", "-"])
        rule = path.relative_to(timings).parts[0].removesuffix(".tsv")
        rows.append({"rule": rule, "seconds": float(job["s"][0]), "mb": float(job["max_rss"].fill_null(0)[0])})
    if not rows:
        return []
    table = pl.DataFrame(rows).group_by("rule").agg(pl.len().alias("jobs"), pl.sum("seconds"), pl.max("mb"))
    return table.sort("seconds", "rule", descending=[True, False]).to_dicts()


def versions() -> dict[str, str]:
    """Of the packages that are installed where the report is written."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # in an environment for tables alone
            continue
    return found
