"""Local files and folders that a configuration names and that do not exist."""

import os
from collections.abc import Callable
from pathlib import Path

from scripts.configuration.config_engines import is_endpoint
from scripts.configuration.protocols import PROTOCOLS
from scripts.tables.source_files import files_of

LOCAL = ("./", "../", "/")


def missing_files(config: dict) -> list[str]:
    """One line per local file or folder that does not exist. Those under results/ are left to `unmade_files`."""
    problems = [line for where, source in source_entries(config).items() for line in wrong_path(where, source)]
    for where, entry in model_entries(config).items():
        if not is_endpoint(entry):
            problems += wrong_model(where, entry)
    for name, benchmark in config["benchmarks"].items():
        folder = benchmark.get("include_path")
        if folder and not list(Path(folder).rglob("*.yaml")):
            problems.append(f"benchmarks.{name}.include_path: no folder {folder} with a YAML file of a task")
    missing = {
        where: path
        for where, path in named_files(config).items()
        if not is_workflow_output(path) and not Path(path).is_file()
    }
    return problems + [f"{where}: no file {path}" for where, path in missing.items()] + wrong_judge_templates(config)


def wrong_judge_templates(config: dict) -> list[str]:
    """Templates of a judge that compares answers for one that grades them, and the other way round."""
    problems = []
    for name, benchmark in config["benchmarks"].items():
        path, protocol = Path(benchmark.get("judge_template", "")), PROTOCOLS.get(benchmark.get("protocol"))
        if protocol and protocol.judge == "language model" and path.is_file():
            needed = "{output_1}" if protocol.baseline else "{output}"
            if needed not in path.read_text(encoding="utf-8", errors="replace"):
                kind = f"the protocol {benchmark['protocol']} needs it: see config/judges/{benchmark['protocol']}.txt"
                problems.append(f"benchmarks.{name}.judge_template: {path} has no {needed}, and {kind}")
    return problems


def unmade_files(config: dict, is_made: Callable[[str], bool]) -> list[str]:
    """One line per file or model under results/ that does not exist and that no rule makes.

    is_made: whether a rule of the workflow has this path as its output.
    """
    files = [(where, path) for where, path in named_files(config).items() if is_workflow_output(path)]
    for where, source in source_entries(config).items():
        files += [(f"{where}.path", path) for path in workflow_files(source)]
    for where, entry in model_entries(config).items():
        if not is_endpoint(entry) and is_workflow_output(entry["model"]):
            files.append((f"{where}.model", f"{entry['model']}/manifest.json"))
    return [
        f"{where}: {path.removesuffix('/manifest.json')} does not exist, and no rule makes it"
        for where, path in ((where, os.path.normpath(path)) for where, path in files)
        if not Path(path).exists() and not is_made(path)
    ]


def named_files(config: dict) -> dict[str, str]:
    """Every file that the configuration names, except sources and models, by its place in the configuration."""
    files = {}
    for name, benchmark in config["benchmarks"].items():
        if "scores" in benchmark:
            files[f"benchmarks.{name}.scores.path"] = benchmark["scores"]["path"]
        if "judge_template" in benchmark:
            files[f"benchmarks.{name}.judge_template"] = benchmark["judge_template"]
    for where, entry in model_entries(config).items():
        if entry.get("chat_template"):
            files[f"{where}.chat_template"] = entry["chat_template"]
    return files


def source_entries(config: dict) -> dict[str, dict]:
    """Every entry that names a local file or a dataset, by its place in the configuration."""
    sources = {"instructions": config["instructions"]} if config["compare"] == "paired" else {}
    answered = {name: entry for name, entry in config["benchmarks"].items() if "prompts" in entry}
    sources |= {f"benchmarks.{name}.prompts": entry["prompts"] for name, entry in answered.items()}
    sources |= {f"teachers.{name}.import": t["import"] for name, t in config["teachers"].items() if "import" in t}
    for name, benchmark in config["benchmarks"].items():
        tables = {"baseline_answers": benchmark.get("baseline_answers", {}), **benchmark.get("length_control", {})}
        sources |= {f"benchmarks.{name}.{key}": table for key, table in tables.items()}
    return sources


def wrong_path(where: str, source: dict) -> list[str]:
    """What is wrong with the path of a source: files that do not exist, cannot be read or cannot be an input."""
    try:
        files = own_files(source)
    except ValueError as error:
        return [f"{where}.path: {error}"]
    braces = [file for file in files if "{" in file or "}" in file]
    return [f"{where}.path: rename {braces[0]}: Snakemake reads a name in braces as a wildcard"] if braces else []


def own_files(source: dict) -> list[str]:
    """The user's own files that a source reads. Raises ValueError as files_of does."""
    paths = source.get("path", [])
    paths = [paths] if isinstance(paths, str) else paths
    return [file for path in paths if not is_workflow_output(path) for file in files_of(path)]


def workflow_files(source: dict) -> list[str]:
    """The files of a source that the workflow itself writes."""
    paths = source.get("path", [])
    return [path for path in ([paths] if isinstance(paths, str) else paths) if is_workflow_output(path)]


def model_entries(config: dict) -> dict[str, dict]:
    """Every entry that names a model, by its place in the configuration."""
    return {
        f"{section}.{name}": entry.get("reward", entry)
        for section in ("teachers", "bases", "reward_models", "reference_models", "judges")
        for name, entry in config[section].items()
        if "model" in entry.get("reward", entry)
    }


def wrong_model(where: str, entry: dict) -> list[str]:
    """A folder that does not exist or holds no model, and code of a model without a pinned revision."""
    model = entry["model"]
    if entry.get("trust_remote_code") and not entry["revision"] and not model.startswith(LOCAL):
        return [f"{where}.trust_remote_code: pin the revision whose code you have read"]
    return wrong_folder(f"{where}.model", model)


def wrong_folder(where: str, model: str) -> list[str]:
    if is_workflow_output(model):
        return []
    if not model.startswith(LOCAL):
        return [f"{where}: {model} is a folder here: write ./{model}"] if Path(model).is_dir() else []
    if not Path(model).is_dir():
        return [f"{where}: no folder {model}"]
    if not (Path(model) / "config.json").is_file() or not list(Path(model).glob("*.safetensors")):
        return [f"{where}: {model} is not a model folder: it needs config.json and weights in *.safetensors"]
    return []


def is_workflow_output(path: str) -> bool:
    """Whether a path is under results/, where the workflow itself writes the files."""
    return Path(path).parts[:1] == ("results",) and path.startswith(("./", "results"))
