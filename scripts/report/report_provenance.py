"""The origin of a report's numbers: code, models, package versions, and the time that the jobs took."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import polars as pl

PACKAGES = ["snakemake", "torch", "transformers", "trl", "vllm", "datasets", "polars", "scipy", "scikit-learn"]
ROLES = {  # section of the configuration to the role of its models
    "teachers": "teacher",
    "bases": "base model",
    "reward_models": "reward model",
    "reference_models": "reference model",
    "judges": "judge",
}


def git_commit(folder: Path) -> str:
    """The commit of the workflow, with a note if files differ from it."""
    try:
        changes = "with changes" if git(folder, "status", "--porcelain") else ""
        return f"{git(folder, 'rev-parse', 'HEAD')} {changes}".strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown: the workflow is not in a git repository"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def models_of(config: dict) -> list[dict]:
    """role, name, model and revision of every model in the configuration."""
    models = []
    for section, role in ROLES.items():
        for name, entry in config[section].items():
            model = entry.get("reward", entry)  # a judge may be a reward model
            if "model" in model:  # imported, selected and mixed teachers have none
                models.append({"role": role, "name": name, "model": model["model"], "revision": model.get("revision")})
    return models


def costs(timings: Path) -> list[dict]:
    """rule, jobs and seconds of all timed jobs, the longest rule first."""
    rows = []
    for path in sorted(timings.rglob("*.tsv")):
        job = pl.read_csv(path, separator="\t", infer_schema_length=None, null_values=["NA", "-"])
        rule = path.relative_to(timings).parts[0].removesuffix(".tsv")
        rows.append({"rule": rule, "seconds": float(job["s"][0])})
    if not rows:
        return []
    table = pl.DataFrame(rows).group_by("rule").agg(pl.len().alias("jobs"), pl.sum("seconds"))
    return table.sort("seconds", "rule", descending=[True, False]).to_dicts()


def versions() -> dict[str, str]:
    """Package to version, for the packages in the environment that writes the report."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # the environment for tables does not have all of them
            continue
    return found
