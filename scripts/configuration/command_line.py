"""Sections of the configuration given on Snakemake's command line: --config car='{"beta": 2}'."""

import ast
import json

import yaml

from scripts.configuration.schema import LOADER
from scripts.configuration.yaml_keys import wrong_keys


def merge_sections(config: dict, settings: list[str]) -> list[str]:
    """Merge the sections and lists given with --config into the configuration; one line per text that cannot be read.

    settings: the arguments of --config, each key=text. Snakemake has merged them already, but keeps the values in a
    section or list as text. Values outside of them stay as Snakemake has read them.
    """
    problems = []
    for key, text in (setting.split("=", 1) for setting in settings):
        try:
            value = read_section(text.strip("'\""))
        except yaml.YAMLError as error:
            problems.append(f"--config {key}: neither JSON nor YAML ({getattr(error, 'problem', error)}): {text}")
            continue
        if isinstance(value, dict | list):
            problems += wrong_keys(text, f"--config {key}")
            merge(config, {key: value})
    return problems


def read_section(text: str):
    """The value of a text in YAML. One in JSON or Python is read as such: 2e-5 and None are text in YAML.

    Raises yaml.YAMLError.
    """
    value = yaml.load(text, LOADER)
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            pass
    return value


def merge(config: dict, new: dict) -> None:
    """Put the values of `new` into a configuration, section by section: keys that `new` does not have stay.

    null deletes an entry or section.
    """
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        elif value is None and isinstance(config.get(key), dict):
            del config[key]
        else:
            config[key] = value
