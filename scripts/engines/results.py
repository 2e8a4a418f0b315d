"""What an engine says of one row: a text with its finish reason, or why there is none."""

from scripts.tables.digests import digest


def told(text: str | None, finish_reason: str, n_tokens: int | None) -> dict:
    """An answer by its text; one that is empty or not whole UTF-8 gets a reason."""
    if text is not None:  # half a surrogate pair, from an endpoint that cut a character in two, can be written nowhere
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    answer = {"text": text, "finish_reason": finish_reason, "n_tokens": n_tokens, "reason": None}
    if not (text or "").strip():
        return answer | {"text": None, "reason": "empty"}
    return answer | {"reason": "undecodable" if "\ufffd" in text else None}


def unanswered(reason: str) -> dict:
    """A row that was not asked, or that can never be answered."""
    return {"text": None, "finish_reason": None, "n_tokens": None, "reason": reason}


def messages_of(row: dict) -> list[dict]:
    """What is asked of the model: the row's own messages, or its instruction."""
    return row.get("messages") or [{"role": "user", "content": row["instruction"]}]


def row_seed(seed: int, rows: list[dict]) -> int:
    """A seed of 31 bits, the same for the same rows and another for any other."""
    return int(digest([seed, rows])[:8], 16) >> 1
