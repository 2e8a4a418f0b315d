"""Conversations: messages with roles, read from the cells of a table.

An instruction is the messages before an answer. An answer is one message of the assistant or, with `turns: all`, all
messages from the assistant's first to its last. Tables hold both as text, for people and judges, and as JSON where one
message does not say it all: `messages` of an instruction that is more than one message of the user, `turns` of an
answer that is more than one message or calls tools. `tools` has the tools that an instruction offers, as JSON, and
`reasoning` the thinking beside an answer of one message.
"""

import json
from collections import Counter

import polars as pl

from scripts.tables.roles import role_of, written_role
from scripts.tables.source_files import name_of
from scripts.tables.sources import normal
from scripts.tables.thinking import thinking_beside
from scripts.tables.tool_calls import call_as_text, calls_in, tools_in

COLUMNS = ["instruction", "messages", "tools", "response", "turns", "reasoning", "unreadable"]
PROMPT = ["instruction", "^messages$", "^tools$"]  # as patterns: a table of plain instructions may lack the others
CONVERSATION = [*PROMPT, "response", "^turns$", "^reasoning$"]


class Unreadable(ValueError):
    """The reason why a cell is not a conversation."""


def with_conversations(table: pl.DataFrame, source: dict) -> pl.DataFrame:
    """The table with COLUMNS in place of the cells of a conversation; unchanged if the source names none.

    The source names a conversation by its column `messages`, whose cells are JSON, or by tools (JSON, too) or a system
    prompt for a plain instruction (column `system`, or the text `system` of the source). `unreadable` is the reason why
    a row has no instruction: not_messages, unknown_role, tool_calls, not_tools, not_a_text, empty_turn, no_user_turn. A
    conversation has no response if it ends before one. The table has `tools` only if the source names it.
    """
    system, turns = source.get("system"), source.get("turns", "last")
    if "messages" not in source["columns"]:
        refuse_conversations(table, name_of(source))
    if not system and not {"messages", "system", "tools"} & set(source["columns"]):
        return table
    rows = [conversation(row, system, turns) for row in table.iter_rows(named=True)]
    if unknown := Counter(row.pop("role", None) for row in rows) - Counter({None: len(rows)}):
        print(f"unknown roles: {', '.join(f'{role} ({n} rows)' for role, n in unknown.most_common(5))}", flush=True)
    without = [] if "messages" in source["columns"] else ["response", "turns", "reasoning"]
    without += [] if "tools" in source["columns"] else ["tools"]
    columns = [name for name in COLUMNS if name not in without]
    texts = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String)).select(columns)
    return table.drop([*columns, "system"], strict=False).hstack(texts)


def refuse_conversations(table: pl.DataFrame, where: str) -> None:
    """Exit if a column of texts has conversations as JSON."""
    for name in {"instruction", "response"} & set(table.columns):
        for cell in table.filter(pl.col(name).str.starts_with("[{"))[name]:
            if is_conversation(cell):
                raise SystemExit(f"{where}: the column of {name} has conversations: name it under `messages`")


def is_conversation(cell: str) -> bool:
    try:
        return bool(messages_in(cell))
    except Unreadable:
        return False


def conversation(row: dict, system: str | None, turns: str) -> dict:
    """COLUMNS of one row; system and turns: of its source."""
    try:
        messages = messages_in(row["messages"]) if "messages" in row else [message("user", row["instruction"])]
        if (system := row.get("system") or system) and messages[0]["role"] != "system":
            messages = [message("system", system), *messages]
        if "messages" in row and row.get("response"):
            messages += answer_in(row["response"])
        prompt, answer = divided(messages, turns)
        prompt = [{key: value for key, value in m.items() if key != "reasoning_content"} for m in prompt]
        if not any(m["role"] == "user" for m in prompt):
            raise Unreadable("no_user_turn")
        if (tools := tools_in(row.get("tools"))) is None:
            raise Unreadable("not_tools")
    except Unreadable as problem:
        return {"unreadable": problem.args[0], "role": problem.args[1] if problem.args[1:] else None}
    as_messages = len(answer) > 1 or any("tool_calls" in m for m in answer)
    beside = None if as_messages or not answer else answer[0].get("reasoning_content")
    return {
        "instruction": as_text(prompt, tools),
        "messages": None if [m["role"] for m in prompt] == ["user"] and not tools else as_json(prompt),
        "tools": as_json(tools) if tools else None,
        "response": as_text(answer) if answer else None,
        "turns": as_json(answer) if as_messages else None,
        "reasoning": row.get("reasoning") or beside,
    }


def messages_in(cell: str | None) -> list[dict]:
    """Messages of role and content from the JSON of a cell: role and content, or ShareGPT's from and value."""
    try:
        entries = json.loads(cell or "")
    except ValueError:
        raise Unreadable("not_messages") from None
    entries = [entries] if isinstance(entries, dict) else entries
    if not (isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries)):
        raise Unreadable("not_messages")
    return [message_in(entry) for entry in entries]


def message_in(entry: dict) -> dict:
    """One message. Its content may be a text, or a list of parts that are texts; it may be empty beside calls.

    What the assistant thought is in the field `reasoning_content`, if the entry has it beside the text.
    """
    role, content, calls = role_of(entry), entry.get("content", entry.get("value")), calls_in(entry)
    if not role:
        raise Unreadable("unknown_role", str(written_role(entry))[:40])
    if calls is None or (calls and role != "assistant"):
        raise Unreadable("tool_calls")
    thinking = {"reasoning_content": text} if role == "assistant" and (text := thinking_beside(entry)) else {}
    if isinstance(content, list):
        content = [part for part in content if not (isinstance(part, dict) and part.get("type") == "thinking")]
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            raise Unreadable("not_a_text")
        content = "".join(part["text"] for part in content)
    if calls:
        return message(role, content or "", may_be_empty=True) | {"tool_calls": calls} | thinking
    of_a_result = {key: entry.get(key) for key in ("name", "tool_call_id") if role == "tool"}
    of_a_result = {key: value for key, value in of_a_result.items() if isinstance(value, str)}
    if thinking:
        return message(role, content or "", may_be_empty=True) | thinking
    return message(role, content) | of_a_result


def message(role: str, content, may_be_empty: bool = False) -> dict:
    """A message; what people and tools wrote is normalized, what a model wrote is kept as it is."""
    if not isinstance(content, str):
        raise Unreadable("not_a_text")
    if role != "assistant":
        content = normal(pl.Series([content])).item()
    if not content.strip() and not may_be_empty:
        raise Unreadable("empty_turn")
    return {"role": role, "content": content}


def answer_in(cell: str) -> list[dict]:
    """The messages of a completion: JSON of messages, or the text of one answer."""
    try:
        return messages_in(cell)
    except Unreadable:
        return [message("assistant", cell)]


def divided(messages: list[dict], turns: str) -> tuple[list[dict], list[dict]]:
    """The messages before the answer, and the answer: see the module. Messages after the answer are in neither."""
    at = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
    if turns == "all" and at:
        return messages[: at[0]], messages[at[0] : at[-1] + 1]
    if at and at[-1] == len(messages) - 1:
        return messages[: at[-1]], messages[at[-1] :]
    return messages, []


def as_text(messages: list[dict], tools: list[dict] | None = None) -> str:
    """A conversation as one text; that of one message is its content and its calls."""
    texts = ["\n".join(filter(None, [m["content"], *map(call_as_text, m.get("tool_calls", ()))])) for m in messages]
    if len(messages) == 1 and not tools:
        return texts[0]
    offered = [f"tools: {as_json(tools)}"] if tools else []
    return "\n\n".join(offered + [f"{m['role']}: {text}" for m, text in zip(messages, texts, strict=True)])


def as_json(value: list | dict) -> str:
    return json.dumps(value, ensure_ascii=False)


def prompt_of(row: dict) -> str | list[dict]:
    """The instruction of a row: its text, or its messages if it is more than one message of the user."""
    return json.loads(row["messages"]) if row.get("messages") else row["instruction"]


def answer_of(row: dict) -> str | list[dict]:
    """The response of a row: its text, or its messages if it is not one plain message.

    Several messages, calls of tools, and thinking beside the text (`reasoning_content`) are not plain.
    """
    if row.get("turns"):
        return json.loads(row["turns"])
    if row.get("reasoning"):
        return [{"role": "assistant", "content": row["response"], "reasoning_content": row["reasoning"]}]
    return row["response"]


def tools_of(row: dict) -> list[dict] | None:
    """The tools that the instruction of a row offers; None if there are none."""
    return json.loads(row["tools"]) if row.get("tools") else None


def filled(rows: list[dict]) -> list[dict]:
    """The rows without what only longer conversations have, so that plain rows keep their key in a row store."""
    optional = ("messages", "tools", "turns", "reasoning")
    return [{key: value for key, value in row.items() if value is not None or key not in optional} for row in rows]
