"""Calls of tools, and descriptions of tools, as data sets write them and as they are kept here."""

import json


def calls_in(entry: dict) -> list[dict] | None:
    """The calls in a message of a data set, none if it has no such field; None if they cannot be read.

    A call is kept as {"type": "function", "function": {"name": ..., "arguments": {...}}}, with its `id` if it has one.
    Arguments may be an object or its JSON; they are kept as an object. The older field `function_call` is one call.
    """
    one = [entry["function_call"]] if entry.get("function_call") else []
    written = as_value(entry.get("tool_calls") or one)
    if not isinstance(written, list):
        return None
    calls = [call_in(call) for call in written]
    return None if None in calls else calls


def call_in(written) -> dict | None:
    """One call; None if it has no name, or if its arguments are not an object."""
    function = written.get("function", written) if isinstance(written, dict) else None
    if not isinstance(function, dict):
        return None
    name, arguments = function.get("name"), as_value(function.get("arguments") or {})
    if not (isinstance(name, str) and name.strip() and isinstance(arguments, dict)):
        return None
    own_id = {"id": written["id"]} if isinstance(written.get("id"), str) else {}
    return own_id | {"type": "function", "function": {"name": name, "arguments": arguments}}


def tools_in(cell: str | None) -> list[dict] | None:
    """The tools in the JSON of a cell, none if it is empty; None if it is not a list of objects with a name."""
    if not (cell or "").strip() or cell.strip() == "null":
        return []
    tools = as_value(cell)
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        return None
    return tools if all(isinstance(described(tool).get("name"), str) for tool in tools) else None


def described(tool: dict) -> dict:
    """The description of a tool: name, description, parameters; its own, or that under `function`."""
    function = tool.get("function")
    return function if isinstance(function, dict) else tool


def as_value(value):
    """The value of a JSON text, None if it is none; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def call_as_text(call: dict) -> str:
    """A call for people and judges: get_weather({"city": "Oslo"})."""
    function = call["function"]
    return f"{function['name']}({json.dumps(function['arguments'], ensure_ascii=False)})"
