"""Responses as conversations, and what SFTTrainer would make of them with the base's own chat template."""

import polars as pl

from scripts.models.chat import Chat, messages
from scripts.models.template import LeftOut, Unrenderable, in_field
from scripts.models.tool_forms import has_calls, in_form
from scripts.tables.conversations import answer_of, as_json, prompt_of, tools_of

REFUSED = [Unrenderable.reason, LeftOut.reason]
AFTER_END = "have text of the template after the end of turn, which it trains on"
SEVERAL = "have several messages after the prompt, all of which it trains on"
JOINED = "begin with white space that the tokenizer joins with the prompt"
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
OBJECTS = pl.List(pl.Extension("arrow.json", pl.String, ""))  # `datasets` reads them as objects with their own keys
NAMES = ["prompt", "completion", "messages"]
OTHERWISE = "contain a control token, or a template that writes today's date"


def complete_conversations(pairs: pl.DataFrame, chat: Chat) -> pl.DataFrame:
    """id, prompt, completion, messages, `left_out` (why it is no complete conversation) and `difference` of each pair.

    prompt and completion are messages, and `messages` has those of both. If some have tools, calls of tools or
    thinking, all are JSON objects; with tools or calls there is also `tools`. A cut response is not complete: a trainer
    would add an end of turn.
    """
    cut = pl.when(pl.col("finish_reason") == "length").then(pl.lit("cut at max_new_tokens"))
    pairs = pairs.with_columns(left_out=pl.coalesce("reason", cut))
    found = [None if row["left_out"] else difference(chat, row) for row in pairs.iter_rows(named=True)]
    found = pl.Series("difference", found, pl.String)
    refused = pl.when(found.is_in(REFUSED)).then(found)
    conversations = as_columns([conversation(row, chat) for row in pairs.iter_rows(named=True)])
    return pairs.select("id", pl.coalesce("left_out", refused).alias("left_out"), found).hstack(conversations)


def as_columns(rows: list[dict]) -> pl.DataFrame:
    """Rows of `conversation` as a table. Plain messages are structs; others have other keys each."""
    if not any(row["tools"] or any(set(m) > {"role", "content"} for m in row["messages"]) for row in rows):
        return pl.DataFrame(rows, schema=dict.fromkeys(NAMES, MESSAGES))
    names = [*NAMES, *(["tools"] if any(row["tools"] or has_calls(row["messages"]) for row in rows) else [])]
    texts = [{name: values and [as_json(value) for value in values] for name, values in row.items()} for row in rows]
    return pl.DataFrame(texts, schema=dict.fromkeys(names, pl.List(pl.String))).cast(OBJECTS)


def conversation(row: dict, chat: Chat) -> dict:
    """The messages of a row: prompt, completion, and both, with calls and thinking as the base's template takes them.

    Thinking that this template does not read is in `reasoning_content`, as other templates read it.
    """
    prompt, completion = messages("user", prompt_of(row)), messages("assistant", answer_of(row) or "")
    field = chat.template.thinking_field or "reasoning_content"
    completion = [in_field(m, field) if "reasoning_content" in m else m for m in completion]
    if has_calls(prompt + completion) and chat.template.call_form:
        prompt, completion = in_form(prompt, chat.template.call_form), in_form(completion, chat.template.call_form)
    return {"prompt": prompt, "completion": completion, "messages": prompt + completion, "tools": tools_of(row)}


def difference(chat: Chat, row: dict) -> str | None:
    """Why SFTTrainer makes other ids or labels of a conversation than finetune.py; None if they are the same.

    SFTTrainer (TRL 1.16) renders the prompt and the conversation, and labels what follows the ids that both begin with.
    """
    instruction, response = prompt_of(row), answer_of(row)
    try:
        (prompt, text, end), *others = chat.turns({**row, "finish_reason": "stop"})
    except Unrenderable as error:
        return error.reason
    if others:
        return SEVERAL
    shown = conversation(row, chat)
    how = {"tools": shown["tools"], "return_dict": False, **chat.template.settings}
    rendered_prompt = chat.tokenizer.apply_chat_template(shown["prompt"], add_generation_prompt=True, **how)
    rendered = chat.tokenizer.apply_chat_template(shown["messages"], **how)
    if rendered_prompt == prompt and rendered == prompt + text + end + chat.tail:
        return AFTER_END if chat.tail else None
    joined = chat.between(prompt, chat.conversation(instruction, response, tools_of(row))) is None
    return JOINED if joined else OTHERWISE
