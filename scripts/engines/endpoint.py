"""One request to an endpoint with OpenAI's chat API, within the study's budget: an answer, or why there is none."""

import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from openai import APIStatusError, DefaultHttpxClient, OpenAI, OpenAIError

from scripts.configuration.config_engines import price_share
from scripts.engines.completions import Unanswered, count_tokens, read_completion
from scripts.engines.error_texts import cause_of, in_one_line, shortened, text_of, without_frames
from scripts.engines.ledger import book, spent
from scripts.engines.refusals import (
    ROW_STATUSES,
    Refused,
    closest_models,
    is_busy,
    keys_to_change,
    lasting_reason,
    prepare_response,
)
from scripts.engines.results import messages_of, row_seed, without_text
from scripts.models.tool_forms import in_form
from scripts.tables.row_store import NotAsked, SetAside

VARIABLE = re.compile(r"[$][{](\w+)[}]")  # ${NAME} in a base_url
CALLS = (None, True)  # OpenAI's form of a message with calls: no content is null, and arguments are a JSON text
CONTROL = {"id": "control", "instruction": "Reply with one word: yes"}  # does the endpoint answer anything?


class Replay(httpx2.BaseTransport):
    """Sends nothing: the reply to each request is `status` and `body`, which were received before."""

    status, body = 404, None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        data = json.dumps(self.body).encode()
        return httpx2.Response(self.status, content=data, headers={"Content-Type": "application/json"})


class Endpoint:
    """spec: see load in engine_openai.py. `estimated`: whether a number of tokens had to be estimated.

    With a replay, a request reads the reply of a batch: at its price, and within a budget that was reserved before.
    """

    def __init__(self, spec: dict, replay: Replay | None = None):
        self.spec, self.api, self.url = spec, spec["api"], address_of(spec["openai"]["base_url"])
        self.budget, self.share = (None, price_share(spec)) if replay else (self.api["budget_usd"], 1)
        variable = spec["openai"]["api_key_env"]
        self.key = os.environ[variable].strip() if variable else None
        self.client = OpenAI(
            base_url=self.url,
            api_key=self.key or "none",
            timeout=self.api["timeout_s"],
            max_retries=0 if replay else self.api["retries"],
            http_client=DefaultHttpxClient(event_hooks={"response": [prepare_response]}, transport=replay),
        )
        self.price = self.api["prices"].get(spec["model"])
        self.estimated = False

    def request(self, row: dict) -> dict | Exception:
        """Send the request of a row within the budget, and book what it costs."""
        max_cost, usd = self.max_cost(row), 0.0
        if not self.book(max_cost, self.budget):
            return self.over_budget()
        try:
            response = self.client.chat.completions.with_raw_response.create(**self.body(row))
            completion = response.parse()
            usd = self.cost_of(completion, size_of(row))
            result = read_completion(completion)
            self.refuse_without_logprobs(result)
            return result | {"usd": usd if self.price else None}
        except (OpenAIError, Unanswered) as error:
            failure = self.failure(error, row)
            failure.__cause__ = without_frames(error)
            return failure
        except (ValueError, AttributeError, IndexError, KeyError, TypeError):
            return self.unreadable(response.text)
        finally:
            self.book(usd - max_cost)

    def body(self, row: dict) -> dict:
        """The fields of the request. What the configuration does not set is not sent."""
        sampling = self.spec["sampling"]
        optional = {name: sampling[name] for name in ("temperature", "top_p") if sampling[name] is not None}
        if sampling["temperature"] and sampling["seed"] is not None:
            optional |= {"seed": row_seed(sampling["seed"], [row])}
        if sampling.get("first_tokens"):
            optional |= {"logprobs": True, "top_logprobs": sampling["first_tokens"]}
        if row.get("tools"):
            optional |= {"tools": row["tools"]}
        return {
            "model": self.spec["model"],
            "messages": in_form(messages_of(row), CALLS),
            self.spec["openai"]["max_tokens_name"]: sampling["max_new_tokens"],
            "extra_body": self.template_settings() | sampling["options"],
            **optional,
        }

    def template_settings(self) -> dict:
        """The field that servers of open models pass to their chat template, if the configuration has it."""
        settings = self.spec.get("chat_template_kwargs")
        return {"chat_template_kwargs": settings} if settings else {}

    def failure(self, error: OpenAIError | Unanswered, row: dict) -> Exception:
        """What an error means for the row that was asked."""
        if isinstance(error, Unanswered):
            return Refused(str(error), error.reason)
        if not isinstance(error, APIStatusError):  # no connection, or no reply in time
            return RuntimeError(f"{in_one_line(error, self.key)} ({self.url})")
        text, line = text_of(error), in_one_line(error, self.key)
        if reason := lasting_reason(text):
            return SetAside(line, without_text(reason))
        if error.status_code == 401 and self.key:
            line += f" (the key is that of {self.spec['openai']['api_key_env']})"
        if error.status_code in (404, 405):
            line += self.wrong_address() or closest_models(self.client, self.spec["model"])
        if error.status_code not in ROW_STATUSES or is_busy(error.status_code, text):
            return RuntimeError(line)
        changes = keys_to_change(text, self.body(row))
        return Refused(f"{line} ({'; '.join(changes)})" if changes else line, "refused")

    def unreadable(self, sent: str) -> RuntimeError:
        """What an endpoint sent is not a completion; the message has the beginning of it."""
        text = shortened(cause_of(sent), self.key)[:200] or "nothing"
        return RuntimeError(f"{self.url} sent something that is not a chat completion{self.wrong_address()}: {text}")

    def wrong_address(self) -> str:
        """A hint for a message, if the address has no version in its path."""
        return "" if re.search(r"/v[0-9]", urlsplit(self.url).path) else f": does base_url ({self.url}) lack /v1?"

    def refuse_without_logprobs(self, result: dict) -> None:
        if self.spec["sampling"].get("first_tokens") and result["text"] and "logprobs" not in result:
            raise Unanswered(f"{self.url} sent no log-probabilities of {self.spec['model']}", "no_answer")

    def book(self, usd: float, budget: float | None = None) -> bool:
        return not self.price or book(Path(self.api["ledger"]), usd, budget)

    def over_budget(self) -> NotAsked:
        usd = spent(Path(self.api["ledger"]))
        return NotAsked(f"budget_usd {self.api['budget_usd']} does not allow another request ({usd:.2f} spent)")

    def max_cost(self, row: dict) -> float:
        """An upper bound: a token has at least one byte, and a message few tokens around it."""
        return self.cost(size_of(row) + 100 * len(messages_of(row)), self.spec["sampling"]["max_new_tokens"])

    def cost_of(self, completion, n_prompt_bytes: int) -> float:
        """US dollars for a completion."""
        read, written, estimated = count_tokens(completion, n_prompt_bytes)
        if estimated and self.price and not self.estimated:
            self.estimated = True
            print(f"{self.url} does not report all tokens: dollars are estimated from the length of texts", flush=True)
        return self.cost(read, written)

    def cost(self, n_prompt_tokens: int, n_tokens: int) -> float:
        """US dollars; 0 for a model without a price."""
        price = self.price or {"input": 0, "output": 0}
        return self.share * (n_prompt_tokens * price["input"] + n_tokens * price["output"]) / 1e6


def address_of(base_url: str) -> str:
    """A base_url with the values of the environment variables in it. Raises KeyError for one that is not set."""
    return VARIABLE.sub(lambda found: os.environ[found[1]], base_url)


def size_of(row: dict) -> int:
    """Bytes of the texts that a row sends: contents of messages, and JSON of calls and tools."""
    contents = [message["content"] for message in messages_of(row)]
    calls = [message["tool_calls"] for message in messages_of(row) if "tool_calls" in message]
    of_tools = [json.dumps([calls, row.get("tools")], ensure_ascii=False)] if calls or row.get("tools") else []
    return sum(len(text.encode()) for text in contents + of_tools)
