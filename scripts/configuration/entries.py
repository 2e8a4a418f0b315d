"""Entries of the configuration as JSON on a script's command line, filled with the defaults of config/schema.yaml.

A rule passes the keys that its script reads, and only those: what a script is given enters the key under which its rows
are stored, and a longer `runtime` must not compute them again. Here such lists of keys are written once.
"""

import argparse
import json
from collections.abc import Callable

from scripts.configuration.schema import fill_defaults, schema_errors, schema_of
from scripts.configuration.schema_messages import describe, nearest

ENGINE_KEYS = ("engine", "model", "revision", "chat_template", "trust_remote_code")
BASE_KEYS = ("model", "revision", "chat_template", "trust_remote_code")
FINETUNE_KEYS = (*BASE_KEYS, "fsdp", "lora")
REFERENCE_MODEL_KEYS = ("model", "revision")
REWARD_MODEL_KEYS = (*BASE_KEYS, "output", "attn_implementation", "batch_tokens")


def entry_of(kind: str, *keys: str, **more) -> Callable[[str], dict]:
    """An argparse type: the JSON of one entry to a dict of what a script reads, with defaults for what is left out.

    kind: the entry's name under $defs of the schema (base, reward_model, source ...), or a section (api, finetune ...).
    keys: those that the script reads, all when left out; with `engine` comes the section of that engine. more: further
    keys, which the schema does not have or has no default for, and their values when left out.
    """
    return lambda text: filled_entry(read_object(text), kind, *keys, **more)


def filled_entry(entry: dict, kind: str, *keys: str, **more) -> dict:
    """What entry_of makes of an entry. Raises argparse.ArgumentTypeError naming all that is missing or wrong."""
    read = {*keys_read(kind, keys, entry), *more}
    problems = [f"unknown key {key}{nearest(key, read)}" for key in entry if key not in read]
    checked = {key: value for key, value in entry.items() if key in keys_of(kind) and more.get(key, ...) != value}
    problems += [line for error in schema_errors(checked, kind) for line in describe(error, top="")]
    if problems:
        raise argparse.ArgumentTypeError("; ".join(problems))
    fill_defaults(checked, kind)
    read = keys_read(kind, keys, checked)  # now with the default engine
    return {**more, **entry, **{key: checked[key] for key in read if key in checked}}


def api_settings(text: str) -> dict:
    """An argparse type for the section api, with `ledger`: the file with what the study has spent."""
    return entry_of("api", ledger="spent_usd.txt")(text)


def read_object(text: str) -> dict:
    try:
        entry = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error}): {text}") from None
    return as_object(entry)


def as_object(value) -> dict:
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'not an object such as {{"key": "value"}}: {json.dumps(value)}')
    return value


def keys_read(kind: str, keys: tuple[str, ...], entry: dict) -> list[str]:
    section = [entry["engine"]] if "engine" in keys and str(entry.get("engine")) in keys_of(kind) else []
    return [*keys, *section] if keys else keys_of(kind)


def keys_of(kind: str, *without: str) -> list[str]:
    """All keys that the schema has for an entry, except those given."""
    return [key for key in schema_of(kind)["$defs"][kind]["properties"] if key not in without]


def default_of(kind: str, key: str):
    return schema_of(kind)["$defs"][kind]["properties"][key]["default"]
