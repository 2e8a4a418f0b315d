"""Responses as conversations, and what SFTTrainer would make of them with the base's own chat template."""

import polars as pl

from scripts.models.chat import Chat, Unrenderable, assistant, user

UNRENDERABLE = "unrenderable"
AFTER_END = "have text of the template after the end of turn, which it trains on"
JOINED = "begin with white space that the tokenizer joins with the prompt"
OTHERWISE = "contain a control token, or a template that writes today's date"


def complete_conversations(pairs: pl.DataFrame, chat: Chat) -> pl.DataFrame:
    """id, prompt, completion, `left_out` (the reason why it is no complete conversation) and `difference` of each pair.

    prompt and completion are conversations of one message. A cut response is not complete: a trainer would add an end
    of turn.
    """
    cut = pl.when(pl.col("finish_reason") == "length").then(pl.lit("cut at max_new_tokens"))
    pairs = pairs.with_columns(left_out=pl.coalesce("reason", cut))
    found = [None if row["left_out"] else difference(chat, row) for row in pairs.iter_rows(named=True)]
    found = pl.Series("difference", found, pl.String)
    refused = pl.when(found == UNRENDERABLE).then(found)
    return pairs.select(
        "id",
        pl.coalesce("left_out", refused).alias("left_out"),
        found,
        prompt=turn("user", "instruction"),
        completion=turn("assistant", "response"),
    )


def difference(chat: Chat, row: dict) -> str | None:
    """Why SFTTrainer makes other ids or labels of a conversation than finetune.py; None if they are the same.

    SFTTrainer (TRL 1.16) renders the prompt and the conversation, and labels what follows the ids that both begin with.
    """
    instruction, response = row["instruction"], row["response"]
    try:
        prompt, text, end = chat.example(instruction, response, "stop")
    except Unrenderable:
        return UNRENDERABLE
    messages = [user(instruction), assistant(response)]
    rendered_prompt = chat.tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
    rendered = chat.tokenizer.apply_chat_template(messages, return_dict=False)
    if rendered_prompt == prompt and rendered == prompt + text + end + chat.tail:
        return AFTER_END if chat.tail else None
    joined = chat.between(prompt, chat.conversation(instruction, response)) is None
    return JOINED if joined else OTHERWISE


def turn(role: str, column: str) -> pl.Expr:
    """A conversation of one message."""
    return pl.concat_list(pl.struct(role=pl.lit(role), content=pl.col(column)))
