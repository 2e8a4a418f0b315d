"""One request to an endpoint with OpenAI's chat API, within the study's budget: an answer, or why there is none."""

import json
import os
import re
from pathlib import Path

from openai import APIStatusError, DefaultHttpxClient, OpenAI, OpenAIError

from scripts.engines.completions import Unanswered, count_tokens, read_completion
from scripts.engines.ledger import book, spent
from scripts.engines.refusals import (
    ROW_STATUSES,
    closest_models,
    in_one_line,
    keys_to_change,
    lasting_reason,
    prepare_response,
    text_of,
)
from scripts.engines.results import messages_of, row_seed, without_text
from scripts.models.tool_forms import in_form
from scripts.tables.row_store import NotAsked, SetAside

CALLS = (None, True)  # OpenAI's form of a message with calls: no content is null, and arguments are a JSON text


class Refused(Exception):
    """Why a row has no answer; the row or a limit of the server may be the cause. `reason`: its name in the tables."""

    def __init__(self, why: str, reason: str):
        super().__init__(why)
        self.reason = reason


class Endpoint:
    """spec: see load in engine_openai.py. `estimated`: whether a number of tokens had to be estimated."""

    def __init__(self, spec: dict):
        self.spec, self.api, self.url = spec, spec["api"], spec["openai"]["base_url"]
        variable = spec["openai"]["api_key_env"]
        self.key = os.environ[variable] if variable else None
        self.client = OpenAI(
            base_url=self.url,
            api_key=self.key or "none",
            timeout=self.api["timeout_s"],
            max_retries=self.api["retries"],
            http_client=DefaultHttpxClient(event_hooks={"response": [prepare_response]}),
        )
        self.price = self.api["prices"].get(spec["model"])
        self.estimated = False

    def request(self, row: dict) -> dict | Exception:
        """Send the request of a row within the budget, and book what it costs."""
        n_bytes = size_of(row)
        # a token has at least one byte, and a message few tokens around it: an upper bound of the cost
        longest = n_bytes + 100 * len(messages_of(row))
        max_cost, usd = self.cost(longest, self.spec["sampling"]["max_new_tokens"]), 0.0
        if not self.book(max_cost, self.api["budget_usd"]):
            return self.over_budget()
        try:
            completion = self.client.chat.completions.create(**self.body(row))
            usd = self.cost_of(completion, n_bytes)
            result = read_completion(completion)
            self.refuse_without_logprobs(result)
            return result | {"usd": usd if self.price else None}
        except (OpenAIError, Unanswered) as error:
            failure = self.failure(error, row)
            failure.__cause__ = error
            return failure
        except (ValueError, AttributeError, IndexError, KeyError, TypeError):
            return RuntimeError(f"{self.url} sent something that is not a chat completion{self.wrong_address()}")
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
        if error.status_code not in ROW_STATUSES:
            return RuntimeError(line)
        changes = keys_to_change(text, self.body(row))
        return Refused(f"{line} ({'; '.join(changes)})" if changes else line, "refused")

    def wrong_address(self) -> str:
        """A hint for a message, if the address has no version in its path."""
        return "" if re.search(r"/v[0-9]", self.url) else f": does base_url ({self.url}) lack /v1?"

    def refuse_without_logprobs(self, result: dict) -> None:
        if self.spec["sampling"].get("first_tokens") and result["text"] and "logprobs" not in result:
            raise Unanswered(f"{self.url} sent no log-probabilities of {self.spec['model']}", "no_answer")

    def book(self, usd: float, budget: float | None = None) -> bool:
        return not self.price or book(Path(self.api["ledger"]), usd, budget)

    def over_budget(self) -> NotAsked:
        usd = spent(Path(self.api["ledger"]))
        return NotAsked(f"budget_usd {self.api['budget_usd']} does not allow another request ({usd:.2f} spent)")

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
        return (n_prompt_tokens * price["input"] + n_tokens * price["output"]) / 1e6


def size_of(row: dict) -> int:
    """Bytes of the texts that a row sends: contents of messages, and JSON of calls and tools."""
    contents = [message["content"] for message in messages_of(row)]
    calls = [message["tool_calls"] for message in messages_of(row) if "tool_calls" in message]
    of_tools = [json.dumps([calls, row.get("tools")], ensure_ascii=False)] if calls or row.get("tools") else []
    return sum(len(text.encode()) for text in contents + of_tools)
