"""The engine `openai`: an endpoint with OpenAI's chat API. Several threads send requests at the same time.

If the endpoint is busy, broken or silent, the client waits and retries: with jitter, or after the seconds of a
Retry-After header. A row that still fails has no result in this run. No further request is sent if the endpoint refuses
every request (key, model, parameters, quota), if it fails for row after row, or if a request could exceed the study's
budget. Results received so far are kept.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI, OpenAIError

from scripts.engines.completions import closest_models, in_one_line, lasting_reason, read_completion
from scripts.engines.ledger import book, spent
from scripts.engines.results import messages_of, row_seed, without_text

VERSION = 1
ENVIRONMENT = "train"
ENDPOINT = True
GPUS = None
OPERATIONAL = ("base_url", "api_key_env")
BLOCK = 64
REFUSALS = (400, 401, 402, 403, 422)


def check(entry: dict) -> list[str]:
    """Whether the environment variable of the key is set."""
    variable = entry["openai"]["api_key_env"]
    return [f"the environment variable {variable} is not set"] if variable and not os.environ.get(variable) else []


def load(spec: dict):
    """Return the endpoint's function from rows to results (see generation.py).

    spec: model, sampling (max_new_tokens, temperature, top_p, seed, options), openai (base_url, api_key_env,
    max_tokens_name) and api (concurrency, timeout_s, retries, budget_usd, prices, ledger). `options` are further fields
    of the request; `ledger` is the file with the sum that the study has spent.
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
        self.key = os.environ[variable] if variable else "none"
        self.client = OpenAI(
            base_url=spec["openai"]["base_url"],
            api_key=self.key,
            timeout=self.api["timeout_s"],
            max_retries=self.api["retries"],
        )
        self.price = self.api["prices"].get(spec["model"])
        self.lock = threading.Lock()
        self.closed = None  # the error because of which no further request is sent
        self.failures = 0  # since the last success

    def ask(self, row: dict) -> dict | Exception:
        """The result of one row; an exception, without the key, if the request failed or was not sent."""
        # a token has at least one byte, so this is an upper bound of the cost
        n_bytes = sum(len(message["content"].encode()) + 100 for message in messages_of(row))
        max_cost = self.cost(n_bytes, self.spec["sampling"]["max_new_tokens"])
        with self.lock:
            if not self.closed and not self.book(max_cost, self.api["budget_usd"]):
                self.closed = self.over_budget()
            if self.closed:
                return self.closed
        result = self.request(row)
        usd = 0.0 if isinstance(result, Exception) else self.cost_of(result)
        if self.lacks_logprobs(result):  # the endpoint charges for it all the same
            result = RuntimeError(
                f"{self.spec['openai']['base_url']} sent no log-probabilities of {self.spec['model']}"
            )
        failed = isinstance(result, Exception)
        with self.lock:
            self.book(usd - max_cost)
            self.failures = self.failures + 1 if failed else 0
            if self.failures > 2 * self.api["concurrency"]:
                self.closed = self.closed or result
        return result if failed else result | {"usd": usd if self.price else None}

    def book(self, usd: float, budget: float | None = None) -> bool:
        return not self.price or book(Path(self.api["ledger"]), usd, budget)

    def over_budget(self) -> Exception:
        usd = spent(Path(self.api["ledger"]))
        return RuntimeError(f"budget_usd {self.api['budget_usd']} does not allow another request ({usd:.2f} spent)")

    def lacks_logprobs(self, result: dict | Exception) -> bool:
        wanted = self.spec["sampling"].get("first_tokens") and not isinstance(result, Exception)
        return bool(wanted and result["text"] and "logprobs" not in result)

    def request(self, row: dict) -> dict | Exception:
        try:
            return read_completion(self.client.chat.completions.create(**self.body(row)))
        except BadRequestError as error:
            if reason := lasting_reason(error):
                return without_text(reason) | {"n_prompt_tokens": None}
            return self.close(error)
        except NotFoundError as error:
            near = closest_models(self.client, self.spec["model"])
            self.closed = RuntimeError(f"{in_one_line(error, self.key)}: name another model{near}")
            return self.closed
        except APIStatusError as error:
            quota = error.status_code == 429 and error.code == "insufficient_quota"
            refused = quota or error.status_code in REFUSALS
            return self.close(error) if refused else in_one_line(error, self.key)
        except OpenAIError as error:
            return in_one_line(error, self.key)  # no connection, or no reply in time
        except (ValueError, AttributeError, IndexError, TypeError):
            return RuntimeError(f"{self.spec['openai']['base_url']} sent something that is not a chat completion")

    def body(self, row: dict) -> dict:
        """The fields of the request."""
        sampling = self.spec["sampling"]
        optional = {"seed": row_seed(sampling["seed"], [row])} if sampling["temperature"] > 0 else {}
        if sampling.get("first_tokens"):
            optional |= {"logprobs": True, "top_logprobs": sampling["first_tokens"]}
        return {
            "model": self.spec["model"],
            "messages": messages_of(row),
            "temperature": sampling["temperature"],
            "top_p": sampling["top_p"],
            self.spec["openai"]["max_tokens_name"]: sampling["max_new_tokens"],
            "extra_body": sampling["options"],
            **optional,
        }

    def close(self, error: Exception) -> Exception:
        """The error in one line. Every other row would meet it too, so no further request is sent."""
        self.closed = in_one_line(error, self.key)
        return self.closed

    def cost_of(self, result: dict) -> float:
        """US dollars for a result; the highest possible cost if the endpoint reports no number of tokens."""
        max_tokens = self.spec["sampling"]["max_new_tokens"] if result["text"] else 0
        n_tokens = max_tokens if result["n_tokens"] is None else result["n_tokens"]
        return self.cost(result["n_prompt_tokens"] or 0, n_tokens)

    def cost(self, n_prompt_tokens: int, n_tokens: int) -> float:
        """US dollars; 0 for a model without a price."""
        price = self.price or {"input": 0, "output": 0}
        return (n_prompt_tokens * price["input"] + n_tokens * price["output"]) / 1e6
