"""Values of JSON texts: numbers keep their spelling in the file, and any value can be written as one text."""

import json
from json.encoder import encode_basestring as quoted

from jiter import LosslessFloat


class Number(str):
    """A number as it is written: 1.10, 007e3, 9007199254740993."""

    __slots__ = ()


DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number, strict=False)


def text_of(value) -> str | None:
    """The text of a cell: texts and numbers as they are, lists and objects as compact JSON, null as None."""
    if value is None or type(value) is str:  # most cells
        return value
    match value:
        case dict() | list() | tuple():
            return json_text(value)
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.decode("utf-8", "replace")
    return str(value)


def json_text(value) -> str:
    """Compact JSON of a value, with numbers as they were written; dates and the like as texts."""
    match value:
        case Number() | LosslessFloat():
            return str(value)
        case str():
            return quoted(value)
        case dict():
            return "{" + ",".join(f"{quoted(str(key))}:{json_text(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(json_text, value)) + "]"
        case None:
            return "null"
        case bool() | int() | float():
            return text_of(value)
    return quoted(text_of(value))
