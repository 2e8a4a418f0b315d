"""From a row to the ids of its prompt, and from generated ids to a result."""

import json

from transformers import GenerationConfig

from scripts.engines.results import messages_of, with_text, without_text
from scripts.models.chat import Chat
from scripts.models.template import Unrenderable
from scripts.tables.thinking import divide, has_thinking, is_tag


def prompt_of(chat: Chat, row: dict) -> list[int] | str:
    """Ids of what a row asks; the reason if the chat template refuses its messages, or leaves out tools or calls."""
    try:
        return chat.ask(messages_of(row), row.get("tools"))
    except Unrenderable as error:
        return error.reason


def refused(prompt: list[int] | str, room: int) -> dict | None:
    """The result of a prompt that the model is not asked; None for one that it is."""
    if isinstance(prompt, str):
        return without_text(prompt)
    return None if len(prompt) <= room else without_text("prompt_over_long")


def decode(chat: Chat, ids: list[int], stops: list[int]) -> dict:
    """The result of generated ids: text, finish_reason (stop | length), n_tokens, reason.

    Special tokens inside an answer separate its parts. Those around thinking stay in the text, which is read later
    (scripts/tables/thinking.py). Others are read by the tokenizer's own response_schema; without one the reason is
    `control_tokens`, since nobody knows which part is meant. A tag that ends the prompt is put back.
    """
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    finish_reason, ids = ("length", ids) if end is None else ("stop", ids[:end])
    text = chat.thinking_begins + chat.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    special = chat.tokenizer.convert_ids_to_tokens(chat.encoder.special_ids.intersection(ids))
    if has_thinking(text) and all(map(is_tag, special)):
        return with_text(text, finish_reason, len(ids)) | count_thinking(chat, text)
    if getattr(chat.tokenizer, "response_schema", None):
        text = chat.tokenizer.parse_response(ids).get("content")
    elif special:
        unread = {"finish_reason": finish_reason, "n_tokens": len(ids), "reasoning": None}
        return without_text("control_tokens") | unread
    return with_text(text, finish_reason, len(ids))


def count_thinking(chat: Chat, text: str) -> dict:
    """`n_thinking_tokens` of a text with thinking."""
    return {"n_thinking_tokens": len(chat.encoder.encode_plain(divide(text).thinking or "", starts=False))}


def decode_logprobs(chat: Chat, logprobs: dict[int, float] | None) -> dict:
    """`logprobs` of a result: pairs of text and log-probability as JSON. Empty if `logprobs` is None.

    Several tokens may have one text (▁M and M of SentencePiece), so this is a list and not a dict.
    """
    if logprobs is None:
        return {}
    return {"logprobs": json.dumps([(chat.tokenizer.decode([i]), p) for i, p in logprobs.items()])}


def stop_ids(chat: Chat, defaults: GenerationConfig) -> list[int]:
    """The ids that end generation: the end of turn, the tokenizer's EOS and the EOS ids of the model's defaults."""
    eos = defaults.eos_token_id if isinstance(defaults.eos_token_id, list) else [defaults.eos_token_id]
    return sorted({*chat.end[-1:], chat.tokenizer.eos_token_id, *eos} - {None})
