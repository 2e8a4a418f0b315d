"""Errors of the schema, one line each: where, what is wrong and what to write."""

from datetime import date

from jsonschema import ValidationError

from scripts.tables.names import nearest

TYPES = {"object": "a section (keys and values)", "array": "a list", "string": "text"}
TYPES |= {"number": "a number", "integer": "an integer", "boolean": "true or false"}


def describe(error: ValidationError, top: str = "top level: ") -> list[str]:
    """The lines of one error. `top` is written instead of the place if the error is in no section."""
    where = ".".join(str(part) for part in error.absolute_path)
    return [f"{where}: {line}" if where else f"{top}{line}" for line in explain(error)]


def explain(error: ValidationError) -> list[str]:
    found, rule = error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            return [f"unknown key {key}{nearest(key, known)}" for key in found if key not in known]
        case "required":
            return [f"{key} is missing" for key in rule if key not in found and f"'{key}' is" in error.message]
        case "type":
            return [explain_type(found, [rule] if isinstance(rule, str) else rule)]
        case "oneOf":
            return ["name either a path or a dataset"]
        case "anyOf":
            choices = [" and ".join(choice["required"]) for choice in rule]
            return [f"name the column {', or '.join(choices)}"]
        case "pattern":
            allowed = error.schema["description"].rstrip(".")
            return [f"{found!r} is not allowed: {allowed[0].lower()}{allowed[1:]}"]
        case "maxLength":
            return [f"{found[:20]!r}... has {len(found)} characters, and {rule} are allowed: it becomes a file name"]
        case "not" if rule:
            return [f"{found} is a folder that the workflow itself writes: choose another name"]
        case "enum":
            allowed = ", ".join("null" if value is None else str(value) for value in rule)
            return [f"{name_of(found)} is not one of {allowed}"]
        case "minProperties" | "minItems":
            return ["at least one entry is needed" if rule == 1 else "two or more entries are needed"]
        case "uniqueItems":
            return [f"{found} has the same entry twice: delete one"]
        case "not":
            return [error.schema.get("description", "only a dataset of the hub has this key: delete it beside `path`")]
        case "const":
            return [f"only {str(rule).lower()} is allowed here"]
    return [error.message.splitlines()[0]]


def explain_type(found, types: list[str]) -> str:
    """What is found and what is needed, and how to write it if YAML may have read a value in an unexpected way."""
    if "string" in types and isinstance(found, bool | int | float | date):
        return f"this is read as {name_of(found)}, and text is needed: put it in quotes"
    if isinstance(found, str) and "e" in found.lower() and is_number(found):
        return f"{found} is read as text: a number with an exponent needs a dot and a sign, such as 2.0e-5"
    needed = " or ".join(TYPES[name] for name in types if name != "null")
    return f"{name_of(found)} is given, and {needed} is needed"


def name_of(value) -> str:
    """A value in a message: the number 7, false, the date 2024-01-01, the text 'two', a list."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value!r}"
        case date():
            return f"the date {value}"
    return "a list" if isinstance(value, list) else "a section"


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
