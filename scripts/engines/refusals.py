"""What the errors of an endpoint mean: whether the client retries, what a row itself causes, which key to change."""

import json
import re
from difflib import get_close_matches

from openai import APIStatusError, OpenAI, OpenAIError

ROW_STATUSES = (400, 403, 413, 422, 451)  # a server refuses a single request with these
# a server gave up; the finish_reason of a completion
SERVER_FAULTS = ("error", "abort", "insufficient_system_resource", "network_error", "timeout", "cancelled")
TEMPORARY = re.compile(r"rate.?limit|overload|too many|time.?out|unavailable|internal|busy|capacity|try again", re.I)
OUT_OF_MONEY = re.compile(
    r"insufficient.?(quota|balance|credit|fund)|exceeded.{0,20}current.?quota|credit balance|arrear|overdue"
    r"|out of credits|more credits|billing.{0,20}limit|spend(ing)? limit|余额不足|欠费",
    re.I,
)
NO_ROOM_LEFT = re.compile(r"must be at least 1, got -", re.I)  # for an answer, because of the prompt alone
ANSWER_TOO_LONG = re.compile(
    r"max_\w*tokens|[1-9]\d* output tokens|in the (completion|output)|(for the|or) completion", re.I
)
PROMPT_TOO_LONG = re.compile(
    r"context.?(length|size|window)|(prompt|input) is too long|longer than the (maximum )?model"
    r"|input tokens? .{0,40}exceed|must have less than \d+ tokens|prompt contains \d+ tokens|prompt_too_long",
    re.I,
)
FILTERED = re.compile(
    r"content.?filter|content.?policy|content management|invalid_prompt|flagged|moderation|data.?inspection"
    r"|inappropriate content|content exists risk|safety system",
    re.I,
)


def prepare_response(response) -> None:
    """Before the client reads a response: an error inside a 200 gets its status, and a lasting error no retry."""
    response.read()
    if response.status_code == 200:
        response.status_code = true_status(response)
    if response.status_code >= 400 and (is_out_of_money(response.text) or lasting_reason(response.text)):
        response.headers["x-should-retry"] = "false"


def true_status(response) -> int:
    """The status that a response with status 200 should have."""
    try:
        body = response.json()
    except ValueError:
        return 200
    if not isinstance(body, dict):
        return 200
    choice = (body.get("choices") or [{}])[0]
    if error := body.get("error") or choice.get("error") or (body.get("object") == "error" and body):
        code = str(error.get("code") or error.get("status") if isinstance(error, dict) else "")
        if re.fullmatch("[45][0-9][0-9]", code):
            return int(code)
        return 503 if TEMPORARY.search(json.dumps(error)) else 400
    return 503 if choice.get("finish_reason") in SERVER_FAULTS else 200


def is_out_of_money(text: str) -> bool:
    """Whether an account has nothing left to spend; a limit per minute uses the same words, and says when to retry."""
    return bool(OUT_OF_MONEY.search(text)) and not re.search(r"retry (in|after)|retryDelay", text, re.I)


def lasting_reason(text: str) -> str | None:
    """The reason if an error is about the prompt of this row alone; None if it is not, or if that is not sure.

    An error about the sum of prompt and longest answer is a limit of this server.
    """
    if NO_ROOM_LEFT.search(text) or (PROMPT_TOO_LONG.search(text) and not ANSWER_TOO_LONG.search(text)):
        return "prompt_over_long"
    return "content_filter" if FILTERED.search(text) else None


def text_of(error: APIStatusError) -> str:
    """What an endpoint says about an error, in whichever field it does."""
    return f"{error.code or ''} {error.type or ''} {cause_of(error.body)}"


def in_one_line(error: OpenAIError, key: str | None) -> str:
    """The error in one line of at most 400 characters, without the key, which some endpoints repeat."""
    status = f" ({error.status_code})" if isinstance(error, APIStatusError) else ""
    cause = cause_of(getattr(error, "body", None)) or str(error)
    if not status and error.__cause__:
        cause = f"{cause} {error.__cause__}"
    line = " ".join(f"{type(error).__name__}{status}: {cause}".split())
    return (line.replace(key, "***") if key else line)[:400]


def cause_of(body) -> str:
    """The text of an error's body: a string, a page, or JSON with the message in one of several fields."""
    if isinstance(body, list):
        return "; ".join(map(cause_of, body))
    if not isinstance(body, dict):
        return re.sub(r"<[^>]*>", " ", str(body or "")).strip()
    if body.get("choices"):
        choice = body["choices"][0]
        return cause_of(choice.get("error")) or f"the completion ended with finish_reason {choice['finish_reason']}"
    found = next((body[name] for name in ("message", "detail", "error", "msg") if body.get(name)), None)
    place = ".".join(map(str, body.get("loc") or []))  # FastAPI names the field here
    raw = (body.get("metadata") or {}).get("raw")  # OpenRouter repeats what the provider said here
    parts = [cause_of(found) if found else json.dumps(body), place and f"({place})", raw and f"({raw})"]
    return " ".join(part for part in parts if part)


def keys_to_change(text: str, request: dict) -> list[str]:
    """Which keys of the configuration set the fields of a request that an error names."""
    fields = [*request, *request["extra_body"]]
    named = [name for name in fields if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]
    changes = [f"set sampling.{name}: null" for name in ("temperature", "top_p", "seed") if name in named]
    further = [name for name in request["extra_body"] if name in named]
    if "chat_template_kwargs" in further:
        further.remove("chat_template_kwargs")
        changes.append("remove chat_template_kwargs: only servers of open models, such as vLLM, accept it")
    changes += [f"remove {name} from sampling.options" for name in further]
    if "logprobs" in named or "top_logprobs" in named:
        changes.append("the protocol alpaca_eval needs log-probabilities: choose another judge")
    limit, other = "max_tokens", "max_completion_tokens"
    limit, other = (limit, other) if limit in request else (other, limit)
    if ANSWER_TOO_LONG.search(text) and re.search(r"too (large|long)|at most|maximum|exceed|range|context|<=", text):
        changes.append("lower sampling.max_new_tokens, or let the server accept more")
    elif limit in named:
        changes.append(f"set openai.max_tokens_name: {other}")
    return changes


def closest_models(client: OpenAI, model: str) -> str:
    """For a message: the endpoint's models with the names closest to one that it does not have (any more)."""
    try:
        names = [model.id for model in client.with_options(max_retries=0).models.list()]
    except (OpenAIError, ValueError, AttributeError, TypeError):
        return ""
    near = get_close_matches(model, names, n=3, cutoff=0.3)
    return f": name another model (the endpoint has {', '.join(near or names[:3])})" if names else ""
