"""What the errors of an endpoint mean: whether the client retries, what a row itself causes, which key to change."""

import json
import re
from difflib import get_close_matches

from openai import OpenAI, OpenAIError

from scripts.engines.error_texts import body_of, first_choice, says_something
from scripts.engines.results import without_text
from scripts.tables.row_store import SetAside

ROW_STATUSES = (400, 403, 413, 422, 451)  # a server refuses a single request with these
# a server gave up; the finish_reason of a completion
GAVE_UP = ("error", "server_error", "network_error", "abort", "cancelled", "timeout", "insufficient_system_resource")
BUSY = re.compile(r"rate.?limit|throttl|overload|too many requests|busy|try again later|繁忙", re.I)
TEMPORARY = re.compile(rf"{BUSY.pattern}|time.?out|unavailable|internal|capacity", re.I)
OUT_OF_MONEY = re.compile(
    r"insufficient.?(quota|balance|credit|fund)|exceeded.{0,20}current.?quota|credit balance|arrear|overdue"
    r"|(out of|more|no) credits|credit limit|billing.{0,20}limit|(spend(ing)?|usage|key|budget) limit"
    r"|(余额|额度|配额).{0,6}(不足|用尽|用完|耗尽|超)|欠费",
    re.I,
)
LONG_LIMIT = re.compile(r"per.?(day|week|month)|daily|weekly|monthly|\((TPD|RPD)\)", re.I)  # no retry waits for its end
NO_ROOM_LEFT = re.compile(r"must be at least 1, got -", re.I)  # for an answer, because of the prompt alone
ANSWER_TOO_LONG = re.compile(
    r"max_\w*tokens|[1-9]\d* output tokens|in the (completion|output)|(for the|or) completion", re.I
)
TOO_MUCH = re.compile(r"too (large|long|high)|at most|maximum|exceed|range|context|less than|between|<=", re.I)
PROMPT_TOO_LONG = re.compile(
    r"context.?(length|size|window)|(prompt|input) is too long|longer than the (maximum )?model"
    r"|input tokens? .{0,40}exceed|must have less than \d+ tokens|prompt contains \d+ tokens|prompt_too_long"
    r"|maximum prompt length|tokens in the prompt cannot exceed|string too long|range of input length"
    r"|expected maxlength|input token count is \d+ but|request_too_large|prompt 超长",
    re.I,
)
FILTERED = re.compile(
    r"content.?filter|content.?policy|content management|invalid_prompt|flagged|moderation|data.?inspection"
    r"|inappropriate content|content exists risk|safety system|prohibited_content|violates? (our )?usage|guardrail"
    r"|new_sensitive|敏感内容",
    re.I,
)


class Refused(Exception):
    """Why a row has no answer; the row or a limit of the server may be the cause. `reason`: its name in the tables."""

    def __init__(self, why: str, reason: str):
        super().__init__(why)
        self.reason = reason


def without_answer(result: dict | Exception, api: dict, others: bool) -> dict | Exception:
    """What becomes of a row that was refused: it is set aside, or fails. others: whether other rows are answered."""
    if not isinstance(result, (Refused, SetAside)):
        return result
    if not others:  # the endpoint refuses more than this row
        return RuntimeError(str(result))
    if isinstance(result, SetAside):
        return result
    if api["set_aside_refused"]:
        return SetAside(str(result), without_text(result.reason))
    return RuntimeError(f"{result} (to go on without such rows: api.set_aside_refused)")


def prepare_response(response) -> None:
    """Before the client reads a response: an error inside a 200 gets its status; whether a retry can help is said."""
    response.read()
    if response.status_code == 200 and response.url.path.endswith("/chat/completions"):
        response.status_code = true_status(body_of(response))
    if response.status_code >= 400 and (is_out_of_money(response.text) or lasting_reason(response.text)):
        response.headers["x-should-retry"] = "false"
    elif is_busy(response.status_code, response.text):
        response.headers["x-should-retry"] = "true"


def true_status(body) -> int:
    """The status that a response with status 200 and this body should have."""
    body = body[0] if isinstance(body, list) and body else body
    if not isinstance(body, dict):
        return 200
    choice = first_choice(body)
    if error := body.get("error") or choice.get("error") or (not choice and says_something(body) and body):
        error = error if isinstance(error, dict) else body
        code = str(error.get("code") or error.get("status") or "")
        if re.fullmatch("[45][0-9][0-9]", code):
            return int(code)
        return 503 if TEMPORARY.search(json.dumps(error, ensure_ascii=False)) else 400
    return 503 if str(choice.get("finish_reason")).lower() in GAVE_UP else 200


def is_out_of_money(text: str) -> bool:
    """Whether an account has nothing left to spend, or for today.

    A limit per minute uses the same words, and says when to retry.
    """
    if LONG_LIMIT.search(text) and re.search(r"limit|quota", text, re.I):
        return True
    return bool(OUT_OF_MONEY.search(text)) and not re.search(r"retry (in|after)|retryDelay", text, re.I)


def is_busy(status: int, text: str) -> bool:
    """Whether what looks like the refusal of a row says that the server has too much to do."""
    return status in (400, 403, 424, 425) and bool(BUSY.search(text)) and not lasting_reason(text)


def lasting_reason(text: str) -> str | None:
    """The reason if an error is about the prompt of this row alone; None if it is not, or if that is not sure.

    An error about the sum of prompt and longest answer is a limit of this server.
    """
    if NO_ROOM_LEFT.search(text) or (PROMPT_TOO_LONG.search(text) and not ANSWER_TOO_LONG.search(text)):
        return "prompt_over_long"
    return "content_filter" if FILTERED.search(text) else None


def keys_to_change(text: str, request: dict) -> list[str]:
    """Which keys of the configuration set the fields of a request that an error names."""
    fields = [*request, *request["extra_body"]]
    named = [name for name in fields if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.I)]
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
    if ANSWER_TOO_LONG.search(text) and TOO_MUCH.search(text):
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
    if model in names:
        return ""
    near = get_close_matches(model, names, n=3, cutoff=0.3)
    return f": name another model (the endpoint has {', '.join(near or names[:3])})" if names else ""
