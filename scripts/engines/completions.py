"""From what an endpoint sent, a chat completion or an error, to a result."""

import json
from difflib import get_close_matches

from openai import BadRequestError, OpenAI, OpenAIError

from scripts.engines.results import with_text


def read_completion(completion) -> dict:
    """The result in a completion. Raises AttributeError, IndexError or TypeError if it is not a chat completion."""
    choice, usage = completion.choices[0], completion.usage
    result = with_text(choice.message.content, choice.finish_reason, usage.completion_tokens if usage else None)
    if choice.finish_reason == "content_filter":
        result |= {"text": None, "reason": "content_filter"}
    if getattr(choice.logprobs, "content", None):
        first = [(token.token, token.logprob) for token in choice.logprobs.content[0].top_logprobs]
        result |= {"logprobs": json.dumps(first)}
    return result | {"n_prompt_tokens": usage.prompt_tokens if usage else None}


def lasting_reason(error: BadRequestError) -> str | None:
    """The reason if the endpoint will always refuse this row, but not other rows; None if the request is wrong."""
    text = f"{error.code} {error}".lower()
    if "context_length" in text or "context length" in text:
        return "prompt_over_long"
    return "content_filter" if "content_filter" in text or "content_policy" in text else None


def closest_models(client: OpenAI, model: str) -> str:
    """For a message: the endpoint's models with the names closest to one that it does not have (any more)."""
    try:
        names = [model.id for model in client.models.list()]
    except OpenAIError:
        return ""
    near = get_close_matches(model, names, n=3, cutoff=0.3)
    return f" (the endpoint has {', '.join(near)})" if near else ""


def in_one_line(error: Exception, key: str) -> Exception:
    """The error in one line of at most 300 characters, without the key, which some endpoints repeat."""
    line = f"{type(error).__name__}: {error}".replace(key, "***").splitlines()[0]
    return RuntimeError(line[:300])
