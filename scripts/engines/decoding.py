"""From generated ids to an answer."""

import json

from transformers import GenerationConfig

from scripts.engines.results import told
from scripts.models.chat import Chat


def answered(chat: Chat, ids: list[int], stops: list[int]) -> dict:
    """The answer that generated ids stand for: text, finish_reason (stop | length), n_tokens, reason."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    finish_reason, ids = ("length", ids) if end is None else ("stop", ids[:end])
    text = chat.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return told(text, finish_reason, len(ids))


def likeliest(chat: Chat, logprobs: dict[int, float] | None) -> dict:
    """`logprobs` of an answer: token to log-probability as JSON; nothing where none were asked for."""
    if logprobs is None:
        return {}
    return {"logprobs": json.dumps({chat.tokenizer.decode([i]): p for i, p in logprobs.items()})}


def stop_ids(chat: Chat, defaults: GenerationConfig) -> list[int]:
    """The end of turn, the tokenizer's end of text and what the model itself names as ends."""
    own = defaults.eos_token_id if isinstance(defaults.eos_token_id, list) else [defaults.eos_token_id]
    return sorted({chat.end[-1], chat.tokenizer.eos_token_id, *own} - {None})
