"""From generated ids to a result."""

import json

from transformers import GenerationConfig

from scripts.engines.results import with_text
from scripts.models.chat import Chat


def decode(chat: Chat, ids: list[int], stops: list[int]) -> dict:
    """The result of generated ids: text, finish_reason (stop | length), n_tokens, reason."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    finish_reason, ids = ("length", ids) if end is None else ("stop", ids[:end])
    text = chat.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return with_text(text, finish_reason, len(ids))


def decode_logprobs(chat: Chat, logprobs: dict[int, float] | None) -> dict:
    """`logprobs` of a result: token to log-probability as JSON. Empty if `logprobs` is None."""
    if logprobs is None:
        return {}
    return {"logprobs": json.dumps({chat.tokenizer.decode([i]): p for i, p in logprobs.items()})}


def stop_ids(chat: Chat, defaults: GenerationConfig) -> list[int]:
    """The ids that end generation: the end of turn, the tokenizer's EOS and the EOS ids of the model's defaults."""
    eos = defaults.eos_token_id if isinstance(defaults.eos_token_id, list) else [defaults.eos_token_id]
    return sorted({chat.end[-1], chat.tokenizer.eos_token_id, *eos} - {None})
