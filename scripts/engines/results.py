"""The result of one row: a text with its finish reason, or the reason why there is no text."""

from scripts.tables.digests import digest


def with_text(text: str | None, finish_reason: str, n_tokens: int | None) -> dict:
    """A result with its text. The reason is `empty` or `undecodable` if the text is so, else None."""
    if text is not None:  # an endpoint that cuts a character in two sends half a surrogate pair, which no file can hold
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    result = {"text": text, "finish_reason": finish_reason, "n_tokens": n_tokens, "reason": None}
    if not (text or "").strip():
        return result | {"text": None, "reason": "empty"}
    return result | {"reason": "undecodable" if "\ufffd" in text else None}


def without_text(reason: str) -> dict:
    """The result of a row that the model was not asked, or that can never have an answer."""
    return {"text": None, "finish_reason": None, "n_tokens": None, "reason": reason}


def messages_of(row: dict) -> list[dict]:
    """The messages to send for a row: its own messages, or its instruction."""
    return row.get("messages") or [{"role": "user", "content": row["instruction"]}]


def prompt_room(model: str, sampling: dict, context: int) -> int:
    """Tokens that a prompt may have next to the longest answer. Exits if none are left."""
    longest = sampling["max_new_tokens"]
    if longest >= context:
        raise SystemExit(
            f"{model}: max_new_tokens ({longest}) leaves no room for a prompt in the context of {context}: lower it"
        )
    return context - longest


def row_seed(seed: int, rows: list[dict]) -> int:
    """A seed of 31 bits that depends on `seed` and on the content of the rows."""
    return int(digest([seed, rows])[:8], 16) >> 1
