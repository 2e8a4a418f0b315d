"""Which models are checked before a job loads them, and which keys of their entries a check reads."""

import argparse
import json

from scripts.checks.checked_endpoints import judge_templates
from scripts.configuration.config_engines import is_endpoint
from scripts.configuration.config_files import is_workflow_output
from scripts.configuration.entries import BASE_KEYS, as_object, filled_entry, keys_of, read_object

KINDS = {"teachers": "answering_model", "bases": "base", "reward_models": "reward_model"}
KINDS |= {"reference_models": "reference_model", "judges": "language_judge"}
KEYS = (*BASE_KEYS, "engine", "output", "judge_templates")


def models_to_check(config: dict, scoring: set[str]) -> dict[str, dict[str, dict]]:
    """Section to name to entry of every model from a folder or the hub; not of those that the workflow trains itself.

    config: filled with its defaults. scoring: the reward models that a job loads; those of imported rewards are not.
    """
    checked, templates = {}, judge_templates(config)
    for section in KINDS:
        entries = {name: entry.get("reward", entry) for name, entry in config[section].items()}
        if section == "judges":
            entries = {name: entry | templates.get(name, {}) for name, entry in entries.items()}
        checked[section] = {
            name: entry
            for name, entry in entries.items()
            if "model" in entry and not is_workflow_output(entry["model"])
            if section != "reward_models" or name in scoring
        }
    return checked


def models_as_json(models: dict[str, dict[str, dict]], lengths: bool = False) -> str:
    """These models as JSON, each with the keys of its entry that check_models.py reads.

    With more keys, another price or running time would check a model again, and then rerun the jobs that load it.
    """
    cut = {
        section: {name: {key: entry[key] for key in keys_checked(entry, lengths)} for name, entry in entries.items()}
        for section, entries in models.items()
    }
    return json.dumps(cut, sort_keys=True)


def keys_checked(entry: dict, lengths: bool) -> list[str]:
    """KEYS, and how an endpoint is reached; with `lengths` also the sampling and the settings of the engine."""
    settings = [entry["engine"]] if "engine" in entry and (lengths or is_endpoint(entry)) else []
    return [key for key in (*KEYS, *settings, *(["sampling"] if lengths else [])) if key in entry]


def models_of(text: str) -> dict[str, dict[str, dict]]:
    """An argparse type: the JSON of models, with the defaults of KEYS."""
    models = read_object(text)
    if unknown := sorted(set(models) - set(KINDS)):
        raise argparse.ArgumentTypeError(f"unknown section {', '.join(unknown)} (known: {', '.join(KINDS)})")
    return {
        section: {name: filled(section, name, entry) for name, entry in as_object(entries).items()}
        for section, entries in models.items()
    }


def filled(section: str, name: str, entry: dict) -> dict:
    kind = "reward_model" if "output" in as_object(entry) else KINDS[section]  # a judge may be a reward model
    keys = [key for key in keys_of(kind) if key in KEYS or key in entry]
    try:
        return filled_entry(entry, kind, *keys, judge_templates=[])
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{section}.{name}: {error}") from None
