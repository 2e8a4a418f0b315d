"""The schema of a configuration, config/schema.yaml: the only place of every default."""

import copy
from functools import cache
from pathlib import Path

import jsonschema
import yaml
from jsonschema import Draft202012Validator, ValidationError

SCHEMA = Path(__file__).parents[2] / "config/schema.yaml"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if PyYAML was built with it


@cache
def load_schema() -> dict:
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), LOADER)


@cache
def schema_of(kind: str | None = None) -> dict:
    """The schema of a kind of entry, which is a name under $defs or a section; of a configuration if left out."""
    schema = load_schema()
    return {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"] | schema["properties"]} if kind else schema


def schema_errors(value, kind: str | None = None) -> list[ValidationError]:
    """What the schema refuses in a value, sorted by key."""
    errors = Draft202012Validator(schema_of(kind)).iter_errors(value)
    return sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])


def fill_defaults(value: dict, kind: str | None = None) -> None:
    """Set the keys that are left out and have a default, at every level. The schema must accept the value."""
    for _ in filler()(schema_of(kind)).iter_errors(value):  # walking through the schema sets the defaults
        pass


@cache
def filler() -> type:
    """A validator of jsonschema that sets the defaults of `properties`, wherever the schema has them."""
    check = Draft202012Validator.VALIDATORS["properties"]

    def set_defaults(validator, properties: dict, value, schema: dict):
        for key, entry in properties.items():
            if isinstance(value, dict) and "default" in entry:
                value.setdefault(key, copy.deepcopy(entry["default"]))
        yield from check(validator, properties, value, schema)

    return jsonschema.validators.extend(Draft202012Validator, {"properties": set_defaults})
