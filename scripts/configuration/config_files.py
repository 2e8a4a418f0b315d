"""Local files and folders that a configuration names and that are not there."""

from pathlib import Path

from scripts.configuration.config_engines import is_endpoint

LOCAL = ("./", "../", "/")


def missing_files(config: dict) -> list[str]:
    """Local files and folders that do not exist; those under results/ are made by the workflow."""
    sources = {"instructions": config["instructions"]}
    sources |= {f"benchmarks.{name}.prompts": b["prompts"] for name, b in config.get("benchmarks", {}).items()}
    sources |= {f"teachers.{name}.import": t["import"] for name, t in config["teachers"].items() if "import" in t}
    sources |= {"scores": config["scores"]} if "scores" in config else {}
    for name, benchmark in config.get("benchmarks", {}).items():
        tables = {"baseline_answers": benchmark.get("baseline_answers", {}), **benchmark.get("length_control", {})}
        sources |= {f"benchmarks.{name}.{key}": table for key, table in tables.items()}
    files = {f"{where}.path": source["path"] for where, source in sources.items() if "path" in source}
    problems = []
    for name, benchmark in config.get("benchmarks", {}).items():
        if "judge_template" in benchmark:
            files[f"benchmarks.{name}.judge_template"] = benchmark["judge_template"]
    for kind in ("teachers", "bases", "reward_models", "reference_models", "judges"):
        for name, entry in config.get(kind, {}).items():
            entry = entry.get("reward", entry)
            if "model" in entry and not is_endpoint(entry):
                problems += wrong_model(f"{kind}.{name}", entry)
            if entry.get("chat_template"):
                files[f"{kind}.{name}.chat_template"] = entry["chat_template"]
    missing = {where: path for where, path in files.items() if not (made_here(path) or Path(path).is_file())}
    return problems + [f"{where}: no file {path}" for where, path in missing.items()]


def wrong_model(where: str, entry: dict) -> list[str]:
    """A folder that is not there or not a model's, and code of its own that nobody pinned."""
    model = entry["model"]
    if entry.get("trust_remote_code") and not entry.get("revision") and not model.startswith(LOCAL):
        return [f"{where}.trust_remote_code: pin the revision whose code you have read"]
    return wrong_folder(f"{where}.model", model)


def wrong_folder(where: str, model: str) -> list[str]:
    if made_here(model):
        return []
    if not model.startswith(LOCAL):
        return [f"{where}: {model} is a folder here: write ./{model}"] if Path(model).is_dir() else []
    if not Path(model).is_dir():
        return [f"{where}: no folder {model}"]
    if not (Path(model) / "config.json").is_file() or not list(Path(model).glob("*.safetensors")):
        return [f"{where}: {model} is not a model folder: it needs config.json and weights in *.safetensors"]
    return []


def made_here(path: str) -> bool:
    return Path(path).parts[:1] == ("results",) and path.startswith(("./", "results"))
