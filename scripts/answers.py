"""What an engine says of one row: a text with its finish reason, or why there is none."""

from transformers import GenerationConfig

from chat import Chat
from rows import digest


def answered(chat: Chat, ids: list[int], stops: list[int]) -> dict:
    """The answer that generated ids stand for: text, finish_reason (stop | length), n_tokens, reason."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    finish_reason, ids = ("length", ids) if end is None else ("stop", ids[:end])
    text = chat.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return told(text, finish_reason, len(ids))


def told(text: str | None, finish_reason: str, n_tokens: int | None) -> dict:
    """An answer by its text; one that is empty or not whole UTF-8 gets a reason."""
    answer = {"text": text, "finish_reason": finish_reason, "n_tokens": n_tokens, "reason": None}
    if not (text or "").strip():
        return answer | {"text": None, "reason": "empty"}
    return answer | {"reason": "undecodable" if "\ufffd" in text else None}


def unanswered(reason: str) -> dict:
    """A row that was not asked, or that can never be answered."""
    return {"text": None, "finish_reason": None, "n_tokens": None, "reason": reason}


def stop_ids(chat: Chat, defaults: GenerationConfig) -> list[int]:
    """The end of turn, the tokenizer's end of text and what the model itself names as ends."""
    own = defaults.eos_token_id if isinstance(defaults.eos_token_id, list) else [defaults.eos_token_id]
    return sorted({chat.end[-1], chat.tokenizer.eos_token_id, *own} - {None})


def row_seed(seed: int, rows: list[dict]) -> int:
    """A seed of 31 bits, the same for the same rows and another for any other."""
    return int(digest([seed, rows])[:8], 16) >> 1
