"""From a row to the ids of its prompt, and from generated ids to a result."""

import json

from transformers import GenerationConfig

from scripts.engines.results import messages_of, with_text, without_text
from scripts.models.chat import Chat
from scripts.models.template import Unrenderable


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

    Special tokens inside an answer separate its parts (the thinking of gpt-oss from its answer). They are read by the
    tokenizer's own response_schema; without one the reason is `control_tokens`, since nobody knows which part is meant.
    """
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    finish_reason, ids = ("length", ids) if end is None else ("stop", ids[:end])
    if getattr(chat.tokenizer, "response_schema", None):
        text = chat.tokenizer.parse_response(ids).get("content")
    elif chat.encoder.special_ids.intersection(ids):
        return without_text("control_tokens") | {"finish_reason": finish_reason, "n_tokens": len(ids)}
    else:
        text = chat.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    return with_text(text, finish_reason, len(ids))


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
