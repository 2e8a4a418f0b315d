"""Everything that is wrong with a configuration, one line a problem, before any job.

python -m scripts.configuration.check_config --config config/config.yaml --schema config/schema.yaml
"""

import argparse
from pathlib import Path

import jsonschema
import yaml

from scripts.configuration.config_files import missing_files
from scripts.configuration.config_references import nearest, wrong_references, wrong_values


def main():
    args = parse_args()
    problems = find_problems(yaml.safe_load(args.config.read_text(encoding="utf-8")), args.schema)
    if problems:
        raise SystemExit("\n".join(problems))


def find_problems(config: dict, schema: str | Path) -> list[str]:
    """One line per problem: what the schema (a YAML file) forbids, wrong references, missing files."""
    validator = jsonschema.Draft202012Validator(yaml.safe_load(Path(schema).read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(config), key=lambda error: [str(part) for part in error.absolute_path])
    problems = [line for error in errors for line in describe(error)]
    if any(error.validator != "additionalProperties" for error in errors):
        return problems  # what is not as the schema says cannot be looked into
    return [*problems, *wrong_references(config), *missing_files(config), *wrong_values(config)]


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
    if error.validator == "anyOf":
        return [f"{where}: name the column of the id or of the instruction"]
    if error.validator == "pattern":
        return [f"{where}: {error.instance!r} does not match {error.validator_value}"]
    return [f"{where}: {error.message.splitlines()[0]}"]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="configuration of a study")
    parser.add_argument("--schema", type=Path, required=True, help="its JSON schema in YAML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
