"""What an error of an endpoint says, in whichever field it does: its body, its text, and one line for people."""

import json
import re

from openai import APIStatusError, OpenAIError

# fields of a body with the text of an error
MESSAGES = ("message", "detail", "error", "errors", "msg", "status_msg", "base_resp")


def body_of(response):
    """The body of a response: what its JSON says, or its text."""
    try:
        return response.json()
    except ValueError:
        return response.text


def first_choice(body: dict) -> dict:
    choices = body.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def says_something(body: dict) -> bool:
    """Whether a body has a message in a field that is not one of a completion."""
    return body.get("object") == "error" or any(body.get(name) for name in MESSAGES)


def text_of(error: APIStatusError) -> str:
    """What an endpoint says about an error, in whichever field it does."""
    return f"{error.code or ''} {error.type or ''} {cause_of(body_of(error.response))}"


def in_one_line(error: OpenAIError, key: str | None) -> str:
    """The error in one line of at most 400 characters, without the key, which some endpoints repeat."""
    has_body = isinstance(error, APIStatusError)
    status = f" ({error.status_code})" if has_body else ""
    cause = (cause_of(body_of(error.response)) if has_body else "") or str(error)
    if not status and error.__cause__:
        cause = f"{cause} {error.__cause__}"
    return shortened(f"{type(error).__name__}{status}: {cause}", key)


def without_frames(error: Exception) -> Exception:
    """The error without tracebacks: one that is kept would also keep all callers, and the files that they hold."""
    link = error
    while link:
        link.__traceback__, link = None, link.__context__
    return error


def shortened(text: str, key: str | None) -> str:
    """A text in one line of at most 400 characters, without the key."""
    line = " ".join(text.split())
    return (line.replace(key, "***") if key else line)[:400]


def cause_of(body) -> str:
    """The text of an error's body: a string, a page, or JSON with the message in one of several fields."""
    if isinstance(body, list):
        return "; ".join(map(cause_of, body))
    if not isinstance(body, dict):
        page = re.sub(r"<(script|style).*?</\1>", " ", "" if body is None else str(body), flags=re.S | re.I)
        return re.sub(r"<[^>]*>", " ", page).strip()
    if choice := first_choice(body):
        reason = f"the completion ended with finish_reason {choice.get('finish_reason')}"
        return cause_of(choice.get("error") or body.get("error")) or reason
    found = next((body[name] for name in MESSAGES if body.get(name) and body[name] is not True), None)
    loc, metadata = body.get("loc") or [], body.get("metadata")
    place = ".".join(map(str, loc if isinstance(loc, list) else [loc]))  # FastAPI names the field here
    raw = isinstance(metadata, dict) and metadata.get("raw")  # OpenRouter repeats what the provider said here
    parts = [cause_of(found) if found else json.dumps(body), place and f"({place})", raw and f"({cause_of(raw)})"]
    return " ".join(part for part in parts if part)
