"""From a completion that an endpoint sent to an answer, or to why there is none."""

import json

from scripts.engines.results import with_text
from scripts.tables.thinking import divide

# names of other servers for the finish reasons of OpenAI
FINISH_REASONS = dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "complete"), "stop")
FINISH_REASONS |= dict.fromkeys(("max_tokens", "max_output_tokens"), "length")
FILTERS = ["safety", "sensitive", "refusal", "recitation", "prohibited_content", "blocklist", "spii"]
FILTERS += ["content_filtered", "guardrail_intervened"]
FINISH_REASONS |= dict.fromkeys(FILTERS, "content_filter")
BYTES_PER_TOKEN = 3  # for estimates: English has about 4, Chinese about 3, code less


class Unanswered(Exception):
    """Why a completion has no answer, although it is billed. `reason` is the name for it in the tables."""

    def __init__(self, why: str, reason: str):
        super().__init__(why)
        self.reason = reason


def read_completion(completion) -> dict:
    """The result in a completion. Thinking inside its text stays there: a text that was cut in it is cut as any other.

    Raises Unanswered if it has no answer and another try may have one: only what the row itself causes is a result.
    Raises AttributeError, IndexError, KeyError or TypeError if it is not a chat completion.
    """
    choice = completion.choices[0]
    finish_reason = in_our_words(choice.finish_reason)
    text, first = answer_of(choice.message), first_token(choice)
    result = with_text(text, finish_reason, reported(completion, "completion_tokens") if text else None)
    if finish_reason == "content_filter":
        result |= {"text": None, "reason": "content_filter"}
    elif finish_reason not in ("stop", "length", None):
        raise Unanswered(f"the completion ended with finish_reason {finish_reason}", "no_answer")
    elif not first and (parts := divide(text)).answer is not None and not parts.answer.strip():
        refuse_empty(finish_reason, bool(parts.thinking) or thought(completion))
    sent = {"reasoning": thinking_of(choice.message) or None, "n_thinking_tokens": thinking_tokens(completion)}
    return result | first | sent | {"n_prompt_tokens": reported(completion, "prompt_tokens")}


def in_our_words(finish_reason: str | None) -> str | None:
    """stop, length, content_filter, an unknown reason as it is, or None; Gemini adds details after a colon."""
    name = str(finish_reason or "").lower().removeprefix("finish_reason_").partition(":")[0]
    return FINISH_REASONS.get(name, name) or None


def refuse_empty(finish_reason: str | None, thinking: bool) -> None:
    """Raise Unanswered for an empty text, unless the model ended its answer without any thinking."""
    if finish_reason == "length":
        raise Unanswered("thinking used all of sampling.max_new_tokens: raise it", "thinking_used_the_budget")
    if thinking or finish_reason is None:
        why = "the model thought and wrote no answer" if thinking else "the completion is empty and unfinished"
        raise Unanswered(why, "no_answer")


def answer_of(message) -> str:
    """The text of a message, without its thinking. The content may be a list of parts."""
    content = message.content
    if isinstance(content, list):
        content = "".join(text_of_part(part) for part in content)
    return content or getattr(message, "refusal", None) or ""


def text_of_part(part: dict | str) -> str:
    """The text of a part of a content; empty if it is thinking, an image or a call."""
    if isinstance(part, str):
        return part
    return (part.get("text") or "") if part.get("type", "text") in ("text", "output_text") else ""


def thinking_of(message) -> str:
    """What a server sent as thinking next to the answer."""
    separate = [getattr(message, name, None) for name in ("reasoning_content", "reasoning")]
    if beside := next((text for text in separate if text), None):  # some servers send both, with the same text
        return str(beside)
    parts = message.content if isinstance(message.content, list) else []
    inside = [part for part in parts if isinstance(part, dict) and part.get("type") == "thinking"]
    return "".join(text_of_thinking(part.get("thinking")) for part in inside)


def text_of_thinking(thinking: str | list | None) -> str:
    """The text of a part of the content, which may consist of parts itself (Mistral)."""
    if isinstance(thinking, list):
        return "".join(map(text_of_part, thinking))
    return str(thinking or "")


def thinking_tokens(completion) -> int | None:
    """Tokens of the thinking, as the endpoint reports them; None if it does not."""
    return getattr(getattr(completion.usage, "completion_tokens_details", None), "reasoning_tokens", None) or None


def thought(completion) -> bool:
    hidden = thinking_tokens(completion) or uncounted(completion)
    return bool(thinking_of(completion.choices[0].message) or hidden)


def first_token(choice) -> dict:
    """The most likely first tokens with their log-probabilities, as JSON; nothing if the endpoint sent none."""
    if not getattr(choice.logprobs, "content", None):
        return {}
    return {"logprobs": json.dumps([(token.token, token.logprob) for token in choice.logprobs.content[0].top_logprobs])}


def reported(completion, name: str) -> int | None:
    """A number of tokens that an endpoint reports; None if it reports none, 0, or something that is no number."""
    number = getattr(completion.usage, name, None)
    return int(number) if isinstance(number, int | float) and number > 0 else None


def uncounted(completion) -> int:
    """Tokens of the total that are neither those read nor those written: Gemini counts its thinking, which it bills."""
    total, read = reported(completion, "total_tokens"), reported(completion, "prompt_tokens")
    return max(0, total - read - (reported(completion, "completion_tokens") or 0)) if total and read else 0


def count_tokens(completion, n_prompt_bytes: int) -> tuple[int, int, bool]:
    """Tokens read and written, and whether one of them is an estimate, because the endpoint did not report it."""
    read, written = reported(completion, "prompt_tokens"), reported(completion, "completion_tokens")
    message = completion.choices[0].message
    n_bytes = len(f"{answer_of(message)}{thinking_of(message)}".encode(errors="replace"))
    estimates = -(-n_prompt_bytes // BYTES_PER_TOKEN), -(-n_bytes // BYTES_PER_TOKEN)
    written = (written or 0) + uncounted(completion) or None
    return read or estimates[0], written or estimates[1], read is None or (written is None and n_bytes > 0)
