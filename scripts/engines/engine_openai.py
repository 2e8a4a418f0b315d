"""The engine `openai`: an endpoint with OpenAI's chat API. Several threads send requests at the same time.

If the endpoint is busy, broken or silent, the client waits and retries: with jitter, or after the seconds of a
Retry-After header. A row that still fails, or that the endpoint refuses, has no stored result: the next run asks it
again, after all others. Only completions are stored, never an error. No further request is sent if a request could
exceed the study's budget, or if the endpoint fails for the first row, or for several rows one after the other, and
then for a harmless control request as well. Results received so far are kept.
"""

import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from scripts.engines.batches import Batches
from scripts.engines.completions import Unanswered
from scripts.engines.endpoint import CONTROL, VARIABLE, Endpoint, address_of
from scripts.engines.refusals import without_answer
from scripts.tables.row_store import NotAsked

VERSION = 2
ENVIRONMENT = "train"
ENDPOINT = True
GPUS = None
OPERATIONAL = ("base_url", "api_key_env", "batch")
BLOCK = 64
SEVERAL = 3  # rows that fail one after the other


def check(entry: dict) -> list[str]:
    """Whether the environment variables of key and address are set, and the address is one to which paths are added."""
    url, key = entry["openai"]["base_url"], entry["openai"]["api_key_env"]
    of_url = VARIABLE.findall(url)
    unset = [name for name in [key, *of_url] if name and not os.environ.get(name, "").strip()]
    problems = [f"the environment variable {name} is not set" for name in unset]
    return problems + (wrong_address(address_of(url)) if not {*of_url} & {*unset} else [])


def wrong_address(url: str) -> list[str]:
    """What is wrong with the address of an endpoint, if anything."""
    problems = []
    azure = re.match(r"https?://[^/]*\.(openai|cognitiveservices|services\.ai)\.azure\.com(?!.*/v1)", url)
    if not re.match("https?://", url):
        problems.append(f"base_url {url} does not begin with http:// or https://")
    elif azure or "/openai/deployments/" in url or "api-version=" in url:
        resource = azure[0] if azure else url.partition("/openai/")[0]
        problems.append(
            f"base_url {url} is not Azure's v1 address: write {resource}/openai/v1, and the deployment as model"
        )
    elif cut := re.match(r"(.*?)(/chat)?/(completions|responses|models|messages|chat)/?$", url):
        problems.append(f"base_url {url} is the address of one function: write {cut[1]}")
    elif "?" in url:
        problems.append(f"base_url {url} has parameters, which are not supported: write it without them")
    return problems


def load(spec: dict):
    """Return the endpoint's function from rows and their sampling to results (see generation.py).

    spec: model, openai (base_url, api_key_env, max_tokens_name) and api (concurrency, timeout_s, retries, budget_usd,
    prices, set_aside_refused, poll_s, ledger); `ledger` is the file with the sum that the study has spent. Sampling:
    max_new_tokens, temperature, top_p, seed and options, which are further fields of the request. With a folder, that
    of the stored rows, they are asked in batches.
    """

    @cache
    def questions(sampling: str) -> Questions:
        return Questions({**spec, "sampling": json.loads(sampling)})

    def generate(rows: list[dict], sampling: dict, folder: Path | None = None) -> list[dict | Exception]:
        if folder:
            return Batches({**spec, "sampling": sampling}, folder).ask(rows)
        with ThreadPoolExecutor(spec["api"]["concurrency"]) as threads:
            return list(threads.map(questions(json.dumps(sampling)).ask, rows))

    return generate


class Questions:
    """The rows that several threads ask one endpoint, until it does not answer any more."""

    def __init__(self, spec: dict):
        self.endpoint, self.api = Endpoint(spec), spec["api"]
        self.lock = threading.Lock()
        self.closed = None  # the error because of which no further request is sent
        self.answered = False  # whether any row was
        self.failures, self.patience = 0, 1  # since the last answer; how many of them lead to a control request

    def ask(self, row: dict) -> dict | Exception:
        """The result of one row; an exception, without the key, if the request failed or was not sent."""
        with self.lock:  # waits for a control request that another row leads to
            if self.closed:
                return self.closed
        result = self.endpoint.request(row)
        with self.lock:
            if not isinstance(result, Exception):
                self.answered, self.failures, self.patience = True, 0, max(self.patience, SEVERAL)
            elif not self.closed:
                self.failures += 1
                self.closed = result if isinstance(result, NotAsked) else self.reason_to_close(result)
            return without_answer(result, self.api, others=not self.closed)

    def reason_to_close(self, result: Exception) -> NotAsked | None:
        """Why no other row will be answered either, after a row that was not answered; None if that is not so."""
        if self.failures < self.patience:
            return None
        billed = isinstance(result.__cause__, Unanswered)
        if billed and not self.answered and not self.api["set_aside_refused"]:
            if self.failures >= SEVERAL:  # each further row would cost as much, for nothing
                return NotAsked(f"not asked, because no row was answered: {result}")
            self.patience = SEVERAL
        else:
            self.failures, self.patience = 0, max(SEVERAL, 2 * self.api["concurrency"])
        control = self.endpoint.request(CONTROL)
        if not isinstance(control, Exception) or (is_refusal(result) and not is_refusal(control)):
            return None
        differs = "" if str(control) == str(result) else f"; a control request: {control}"
        return NotAsked(f"not asked, because {self.endpoint.url} fails for every request: {result}{differs}")


def is_refusal(error: Exception) -> bool:
    """Whether an endpoint refused a request, so that it is neither busy nor broken."""
    status = getattr(error.__cause__, "status_code", 503)
    return status < 500 and status not in (408, 409, 429)
