"""The engine `openai`: any endpoint that speaks OpenAI's chat API, asked by several threads at once.

The client backs off with jitter, or as long as Retry-After says, when the endpoint is busy, broken or silent. A row
that still fails has no answer in this run. Once the endpoint refuses as a whole (key, model, parameters, quota), fails
row after row, or could cost more than the study's budget, nothing more is asked; what was answered is kept.
"""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from pathlib import Path

from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI, OpenAIError

from scripts.engines.ledger import book, spent
from scripts.engines.results import messages_of, row_seed, told, unanswered

VERSION = 1
BLOCK = 64
REFUSALS = (400, 401, 402, 403, 422)


def load(spec: dict):
    """Return the endpoint's function from rows to answers (see generation.py).

    spec: model, sampling (max_new_tokens, temperature, top_p, seed, options), openai (base_url, api_key_env,
    max_tokens_name) and api (concurrency, timeout_s, retries, budget_usd, prices, ledger). `options` are further fields
    of the request; `ledger` is the file that says what the study has spent. Exits when the variable that should hold
    the key is not set.
    """
    endpoint = Endpoint(spec)

    def generate(rows: list[dict]) -> list[dict | Exception]:
        with ThreadPoolExecutor(spec["api"]["concurrency"]) as threads:
            return list(threads.map(endpoint.ask, rows))

    return generate


class Endpoint:
    def __init__(self, spec: dict):
        self.spec, self.api = spec, spec["api"]
        variable = spec["openai"]["api_key_env"]
        if variable and not os.environ.get(variable):
            raise SystemExit(f"{spec['model']}: the environment variable {variable} holds no key")
        self.key = os.environ[variable] if variable else "none"
        self.client = OpenAI(
            base_url=spec["openai"]["base_url"],
            api_key=self.key,
            timeout=self.api["timeout_s"],
            max_retries=self.api["retries"],
        )
        self.price = self.api["prices"].get(spec["model"])
        self.lock = threading.Lock()
        self.closed = None  # why nothing more is asked
        self.failures = 0  # since the last success

    def ask(self, row: dict) -> dict | Exception:
        """The answer to one row; an exception, which names no key, where the request failed or was not made."""
        # a token is at least a byte, so this bounds what the request can cost
        asked = sum(len(message["content"].encode()) + 100 for message in messages_of(row))
        most = self.cost(asked, self.spec["sampling"]["max_new_tokens"])
        with self.lock:
            if not self.closed and not self.book(most, self.api["budget_usd"]):
                paid = spent(Path(self.api["ledger"]))
                self.closed = RuntimeError(
                    f"budget_usd {self.api['budget_usd']} does not allow another request ({paid:.2f} spent)"
                )
            if self.closed:
                return self.closed
        answer = self.request(row)
        paid = 0.0 if isinstance(answer, Exception) else self.paid(answer)
        if self.lacks_logprobs(answer):  # paid for all the same
            answer = RuntimeError(
                f"{self.spec['openai']['base_url']} sent no log-probabilities of {self.spec['model']}"
            )
        failed = isinstance(answer, Exception)
        with self.lock:
            self.book(paid - most)
            self.failures = self.failures + 1 if failed else 0
            if self.failures > 2 * self.api["concurrency"]:
                self.closed = self.closed or answer
        return answer if failed else answer | {"usd": paid if self.price else None}

    def book(self, usd: float, budget: float | None = None) -> bool:
        return not self.price or book(Path(self.api["ledger"]), usd, budget)

    def lacks_logprobs(self, answer: dict | Exception) -> bool:
        wanted = self.spec["sampling"].get("logprobs") and not isinstance(answer, Exception)
        return bool(wanted and answer["text"] and "logprobs" not in answer)

    def request(self, row: dict) -> dict | Exception:
        try:
            return read_completion(self.client.chat.completions.create(**self.body(row)))
        except BadRequestError as error:
            if reason := lasting_reason(error):
                return unanswered(reason) | {"n_prompt_tokens": None}
            return self.refuse(error)
        except NotFoundError as error:
            self.closed = RuntimeError(f"{self.told(error)}: name another model{self.alternatives()}")
            return self.closed
        except APIStatusError as error:
            quota = error.status_code == 429 and error.code == "insufficient_quota"
            return self.refuse(error) if quota or error.status_code in REFUSALS else self.told(error)
        except OpenAIError as error:
            return self.told(error)  # no connection, or no answer in time
        except (ValueError, AttributeError, IndexError, TypeError):
            return RuntimeError(f"what {self.spec['openai']['base_url']} sent is no chat completion")

    def body(self, row: dict) -> dict:
        sampling = self.spec["sampling"]
        more = {"seed": row_seed(sampling["seed"], [row])} if sampling["temperature"] > 0 else {}
        if sampling.get("logprobs"):
            more |= {"logprobs": True, "top_logprobs": sampling["logprobs"]}
        return {
            "model": self.spec["model"],
            "messages": messages_of(row),
            "temperature": sampling["temperature"],
            "top_p": sampling["top_p"],
            self.spec["openai"]["max_tokens_name"]: sampling["max_new_tokens"],
            "extra_body": sampling["options"],
            **more,
        }

    def refuse(self, error: Exception) -> Exception:
        """An error that every other row would meet as well."""
        self.closed = self.told(error)
        return self.closed

    def alternatives(self) -> str:
        """The models of the endpoint whose names are nearest to one that it does not have (any more)."""
        try:
            names = [model.id for model in self.client.models.list()]
        except OpenAIError:
            return ""
        near = get_close_matches(self.spec["model"], names, n=3, cutoff=0.3)
        return f" (the endpoint has {', '.join(near)})" if near else ""

    def told(self, error: Exception) -> Exception:
        """The error in one line that does not repeat the key, which some endpoints do."""
        line = f"{type(error).__name__}: {error}".replace(self.key, "***").splitlines()[0]
        return RuntimeError(line[:300])

    def paid(self, answer: dict) -> float:
        """What an answer cost; as much as it can have, where the endpoint does not tell."""
        longest = self.spec["sampling"]["max_new_tokens"] if answer["text"] else 0
        n_tokens = longest if answer["n_tokens"] is None else answer["n_tokens"]
        return self.cost(answer["n_prompt_tokens"] or 0, n_tokens)

    def cost(self, n_prompt_tokens: int, n_tokens: int) -> float:
        """US dollars; 0 for a model without a price."""
        price = self.price or {"input": 0, "output": 0}
        return (n_prompt_tokens * price["input"] + n_tokens * price["output"]) / 1e6


def read_completion(completion) -> dict:
    """The answer in a completion; raises AttributeError, IndexError or TypeError for what is not one."""
    choice, usage = completion.choices[0], completion.usage
    answer = told(choice.message.content, choice.finish_reason, usage.completion_tokens if usage else None)
    if choice.finish_reason == "content_filter":
        answer |= {"text": None, "reason": "content_filter"}
    if getattr(choice.logprobs, "content", None):
        first = {token.token: token.logprob for token in choice.logprobs.content[0].top_logprobs}
        answer |= {"logprobs": json.dumps(first)}
    return answer | {"n_prompt_tokens": usage.prompt_tokens if usage else None}


def lasting_reason(error: BadRequestError) -> str | None:
    """Why this row, and not every row, is refused each time; None where the request itself is at fault."""
    text = f"{error.code} {error}".lower()
    if "context_length" in text or "context length" in text:
        return "prompt_over_long"
    return "content_filter" if "content_filter" in text or "content_policy" in text else None
