"""Responses as conversations, and what SFTTrainer would make of them with the base's own chat template."""

import polars as pl

from scripts.models.chat import Chat, Unrenderable, messages
from scripts.tables.conversations import answer_of, prompt_of

UNRENDERABLE = "unrenderable"
AFTER_END = "have text of the template after the end of turn, which it trains on"
SEVERAL = "have several messages after the prompt, all of which it trains on"
JOINED = "begin with white space that the tokenizer joins with the prompt"
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
CONVERSATION = dict.fromkeys(("prompt", "completion", "messages"), MESSAGES)
OTHERWISE = "contain a control token, or a template that writes today's date"


def complete_conversations(pairs: pl.DataFrame, chat: Chat) -> pl.DataFrame:
    """id, prompt, completion, messages, `left_out` (why it is no complete conversation) and `difference` of each pair.

    prompt and completion are messages, and `messages` has those of both. A cut response is not complete: a trainer
    would add an end of turn.
    """
    cut = pl.when(pl.col("finish_reason") == "length").then(pl.lit("cut at max_new_tokens"))
    pairs = pairs.with_columns(left_out=pl.coalesce("reason", cut))
    found = [None if row["left_out"] else difference(chat, row) for row in pairs.iter_rows(named=True)]
    found = pl.Series("difference", found, pl.String)
    refused = pl.when(found == UNRENDERABLE).then(found)
    conversations = pl.DataFrame([conversation(row) for row in pairs.iter_rows(named=True)], schema=CONVERSATION)
    return pairs.select("id", pl.coalesce("left_out", refused).alias("left_out"), found).hstack(conversations)


def conversation(row: dict) -> dict:
    """The messages of a row: prompt, completion, and both."""
    prompt, completion = messages("user", prompt_of(row)), messages("assistant", answer_of(row) or "")
    return {"prompt": prompt, "completion": completion, "messages": prompt + completion}


def difference(chat: Chat, row: dict) -> str | None:
    """Why SFTTrainer makes other ids or labels of a conversation than finetune.py; None if they are the same.

    SFTTrainer (TRL 1.16) renders the prompt and the conversation, and labels what follows the ids that both begin with.
    """
    instruction, response = prompt_of(row), answer_of(row)
    try:
        (prompt, text, end), *others = chat.turns({**row, "finish_reason": "stop"})
    except Unrenderable:
        return UNRENDERABLE
    if others:
        return SEVERAL
    given, whole = messages("user", instruction), conversation(row)["messages"]
    rendered_prompt = chat.tokenizer.apply_chat_template(given, add_generation_prompt=True, return_dict=False)
    rendered = chat.tokenizer.apply_chat_template(whole, return_dict=False)
    if rendered_prompt == prompt and rendered == prompt + text + end + chat.tail:
        return AFTER_END if chat.tail else None
    joined = chat.between(prompt, chat.conversation(instruction, response)) is None
    return JOINED if joined else OTHERWISE
