"""Entries of the configuration as JSON on a script's command line, filled with the defaults of config/schema.yaml.

A rule passes only the keys that its script reads, because they are part of the key under which rows are stored: another
`runtime` must not compute rows again. The lists of these keys are here, for the rules and for the scripts.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from scripts.configuration.schema import fill_defaults, schema_errors, schema_of
from scripts.configuration.schema_messages import describe
from scripts.tables.names import nearest
from scripts.tables.source_files import files_of

BASE_KEYS = ("model", "revision", "chat_template", "chat_template_kwargs", "trust_remote_code")
ENGINE_KEYS = ("engine", *BASE_KEYS, "reasoning")
FINETUNE_KEYS = (*BASE_KEYS, "fsdp", "lora")
REFERENCE_MODEL_KEYS = ("model", "revision")
REWARD_MODEL_KEYS = (*BASE_KEYS, "output", "attn_implementation", "batch_tokens")


def entry_of(kind: str, *keys: str, **more) -> Callable[[str], dict]:
    """An argparse type: converts the JSON of one entry to a dict with the keys that a script reads, defaults included.

    kind: the entry's name under $defs of the schema (base, reward_model, source ...), or a section (api, finetune ...).
    keys: those that the script reads; all of the kind if left out. `engine` adds the section of the entry's engine.
    more: defaults of further keys, for which the schema has none.
    """

    def parse(text: str) -> dict:
        entry = filled_entry(read_object(text), kind, *keys, **more)
        if entry.get("chat_template") and not Path(entry["chat_template"]).is_file():
            raise argparse.ArgumentTypeError(f"chat_template: no file {entry['chat_template']}")
        try:
            files_of(entry.get("path", []))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"path: {error}") from None
        return entry

    return parse


def filled_entry(entry: dict, kind: str, *keys: str, **more) -> dict:
    """An entry with its defaults, see entry_of. Raises argparse.ArgumentTypeError naming what is missing or wrong."""
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
    """An argparse type for the section api, and for `ledger`: the file with the dollars that the study has spent."""
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
