"""Everything that is wrong with a configuration, one line a problem, before any job.

python scripts/check_config.py --config config/config.yaml --schema config/schema.yaml
"""

import argparse
import difflib
import re
from pathlib import Path

import jsonschema
import yaml

LOCAL = ("./", "../", "/")


def main():
    args = parse_args()
    problems = find_problems(yaml.safe_load(args.config.read_text()), args.schema)
    if problems:
        raise SystemExit("\n".join(problems))


def find_problems(config: dict, schema: str | Path) -> list[str]:
    """One line per problem: what the schema (a YAML file) forbids, wrong references, missing files."""
    validator = jsonschema.Draft202012Validator(yaml.safe_load(Path(schema).read_text()))
    errors = sorted(validator.iter_errors(config), key=lambda error: [str(part) for part in error.absolute_path])
    problems = [line for error in errors for line in describe(error)]
    return problems or [*wrong_references(config), *missing_files(config), *wrong_values(config)]


def describe(error: jsonschema.ValidationError) -> list[str]:
    """The lines for one schema error: where, what, and the nearest right name for a wrong key."""
    where = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        return [f"{where}: unknown key {key}{nearest(key, known)}" for key in error.instance if key not in known]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [f"{where}: {key} is missing" for key in missing if f"'{key}' is" in error.message]
    if error.validator == "oneOf":
        return [f"{where}: name either a path or a dataset"]
    if error.validator == "pattern":
        return [f"{where}: {error.instance!r} does not match {error.validator_value}"]
    return [f"{where}: {error.message.splitlines()[0]}"]


def wrong_references(config: dict) -> list[str]:
    """Names in the config that another section should define."""
    teachers, benchmarks = config["teachers"], config.get("benchmarks", {})
    problems = [
        f"benchmarks.{name}.baseline: no teacher {b['baseline']}{nearest(b['baseline'], teachers)}"
        for name, b in benchmarks.items()
        if b["baseline"] not in teachers
    ]
    reward_model = config["car"]["reward_model"]
    if reward_model not in config["reward_models"]:
        near = nearest(reward_model, config["reward_models"])
        problems.append(f"car.reward_model: no reward model {reward_model}{near}")
    for score in config.get("ap", []):
        name = score.rpartition(".")[0]
        if name not in benchmarks:
            problems.append(f"ap: no benchmark {name}{nearest(name, benchmarks)}")
    if benchmarks and not config.get("ap"):
        problems.append(f"ap: names no score: write, for example, ap: [{min(benchmarks)}.wr]")
    return problems


def missing_files(config: dict) -> list[str]:
    """Local files and folders that do not exist; those under results/ are made by the workflow."""
    sources = {"instructions": config["instructions"]}
    sources |= {f"benchmarks.{name}.prompts": b["prompts"] for name, b in config.get("benchmarks", {}).items()}
    files = {f"{where}.path": source["path"] for where, source in sources.items() if "path" in source}
    problems = []
    for kind in ("teachers", "bases", "reward_models"):
        for name, entry in config[kind].items():
            problems += wrong_folder(f"{kind}.{name}.model", entry["model"])
            if entry.get("chat_template"):
                files[f"{kind}.{name}.chat_template"] = entry["chat_template"]
    missing = {where: path for where, path in files.items() if not (made_here(path) or Path(path).is_file())}
    return problems + [f"{where}: no file {path}" for where, path in missing.items()]


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


def wrong_values(config: dict) -> list[str]:
    """What two keys together, or a value by itself, make impossible."""
    problems = []
    finetune = {"batch_size": 32, "micro_batch_size": 1} | config.get("finetune", {})
    if finetune["batch_size"] % finetune["micro_batch_size"]:
        problems.append("finetune: micro_batch_size {micro_batch_size} does not divide {batch_size}".format(**finetune))
    for name, benchmark in config.get("benchmarks", {}).items():
        if "reference" not in benchmark["prompts"]["columns"]:
            problems.append(f"benchmarks.{name}.prompts.columns: protocol exact needs the column of the reference")
        try:
            if not re.compile(benchmark["answer_pattern"]).groups:
                problems.append(f"benchmarks.{name}.answer_pattern: put the answer in a group, in parentheses")
        except re.error as error:
            problems.append(f"benchmarks.{name}.answer_pattern: not a regular expression: {error}")
    return problems


def nearest(name: str, known) -> str:
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" (did you mean {near[0]}?)" if near else f" (there are: {', '.join(sorted(known))})" if known else ""


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="configuration of a study")
    parser.add_argument("--schema", type=Path, required=True, help="its JSON schema in YAML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
