"""How a chat template takes calls of tools, and whether it writes everything about tools that a conversation has."""

import json
from collections.abc import Callable, Iterator

from scripts.tables.tool_calls import described

# Content of a message that only calls, and whether arguments are a JSON text, in the order in which they are tried.
# Most templates want an object: so do the documents of transformers; DeepSeek V3 wants null and a text.
FORMS = [("", False), (None, False), ("", True), (None, True)]
NAME, KEY, VALUE = "\ue000name\ue001", "\ue000key\ue001", "\ue000value\ue001"
PROBE = [
    {"role": "user", "content": "-"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call00000", "type": "function", "function": {"name": NAME, "arguments": {KEY: VALUE}}}],
    },
]


def form_of(render: Callable[[list[dict]], str | None]) -> tuple | None:
    """The first of FORMS in which a template writes the calls of PROBE; None if it writes them in none.

    render: a function from messages to the rendered text, or None if the template refuses them.
    """
    for form in FORMS:
        text = render(in_form(PROBE, form))
        if text and all(mark in text for mark in (NAME, KEY, VALUE)):
            return form
    return None


def has_calls(messages: list[dict]) -> bool:
    return any("tool_calls" in message for message in messages)


def in_form(messages: list[dict], form: tuple) -> list[dict]:
    """Messages whose calls have one of FORMS."""
    empty, as_text = form
    change = with_arguments_as_text if as_text else dict
    return [
        {**m, "content": m["content"] or empty, "tool_calls": [change(call) for call in m["tool_calls"]]}
        if "tool_calls" in m
        else m
        for m in messages
    ]


def with_arguments_as_text(call: dict) -> dict:
    arguments = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return {**call, "function": {**call["function"], "arguments": arguments}}


def marked(messages: list[dict], tools: list[dict] | None) -> tuple[list[dict], list[dict] | None, dict[str, str]]:
    """The conversation with a mark for everything about tools, and what each mark replaces.

    These are the names and arguments of calls, texts beside calls, results of tools, and names of tools.
    """
    found: dict[str, str] = {}

    def mark(what: str) -> str:
        found[name := f"\ue000{len(found)}\ue001"] = what
        return name

    def marked_call(call: dict) -> dict:
        function = {"name": mark("a call of a tool"), "arguments": {}}
        if call["function"]["arguments"]:
            function["arguments"] = {mark("the arguments of a call"): mark("the arguments of a call")}
        return {**call, "function": function}

    def marked_message(m: dict) -> dict:
        if m["role"] == "tool":
            return {**m, "content": mark("the result of a tool")}
        if "tool_calls" not in m:
            return m
        text = mark("a text beside a call") if m["content"].strip() else ""
        return {**m, "content": text, "tool_calls": [marked_call(call) for call in m["tool_calls"]]}

    def marked_tool(tool: dict) -> dict:
        named = {**described(tool), "name": mark("a tool")}
        return {**tool, "function": named} if described(tool) is not tool else named

    return [marked_message(m) for m in messages], tools and [marked_tool(tool) for tool in tools], found


def with_texts(value, change: Callable[[str], str]):
    """A JSON value with each of its texts changed, also those that are keys."""
    match value:
        case str():
            return change(value)
        case list():
            return [with_texts(v, change) for v in value]
        case dict():
            return {change(key): with_texts(v, change) for key, v in value.items()}
    return value


def texts_in(value) -> Iterator[str]:
    """All texts in a JSON value, also those that are keys."""
    match value:
        case str():
            yield value
        case list():
            for inner in value:
                yield from texts_in(inner)
        case dict():
            yield from value
            for inner in value.values():
                yield from texts_in(inner)
