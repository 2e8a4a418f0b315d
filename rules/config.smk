"""The configuration, checked before any job: config/schema.yaml and what a schema cannot say.

The functions give each rule exactly what it reads of it.
"""

import json
import os
import re

from check_config import find_problems
from snakemake.utils import validate

if problems := find_problems(config, f"{workflow.basedir}/config/schema.yaml"):
    sys.exit("\n".join(["The configuration cannot be used:", *problems]))

validate(config, "../config/schema.yaml")  # fills in the defaults


def as_json(entry, *keys):
    """The named keys of a config entry (all without names) as sorted JSON: a param that changes when one of them does."""
    return json.dumps({key: entry[key] for key in keys or entry}, sort_keys=True)


def model_inputs(entry):
    """The local files behind a model entry: its chat template, and its folder unless it names a model of the hub.

    A folder that a rule of this workflow publishes counts by its manifest, any other by its files.
    """
    templates = [entry["chat_template"]] if entry.get("chat_template") else []
    if not entry["model"].startswith(("./", "../", "/")):
        return templates
    folder = os.path.normpath(entry["model"])
    if folder.startswith("results/"):
        return [*templates, f"{folder}/manifest.json"]
    return templates + sorted(entry.path for entry in os.scandir(folder) if entry.is_file())


def source_inputs(source):
    """The local file of instructions or prompts; nothing for a dataset of the hub."""
    return [os.path.normpath(source["path"])] if "path" in source else []


def baseline_of(benchmark):
    """The entry of the teacher whose answers are a benchmark's baseline."""
    return config["teachers"][config["benchmarks"][benchmark]["baseline"]]
