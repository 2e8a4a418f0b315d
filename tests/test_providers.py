"""The entries of docs/providers.md, each asked at a server that follows the rules of its provider."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml

from conftest import ROOT
from endpoint_behaviours import BehaviourServer, completion, error
from scripts.configuration.check_config import fill_and_check
from scripts.engines.generation import asker, loader
from test_documentation import FENCED, TEXTS
from test_endpoint_behaviours import API, stored

ENTRIES = {}
for _, text in FENCED.findall(TEXTS["docs/providers.md"]):
    ENTRIES |= yaml.safe_load(text)["teachers"]


class Provider(NamedTuple):
    path: str
    key: str | None  # the environment variable
    model: str  # a pattern of the names that it knows
    limits: tuple  # names of the limit of tokens that it reads; without one, an answer is cut
    refuses: dict  # a field to its error, or to what decides it
    answer: dict  # further fields of a message
    change: dict  # a mistake, as sampling or as fields of the entry
    expected: str  # what the message must say


def named(field, *but, message, **fields):
    """A refusal of a field, unless it has one of the values."""
    return lambda body: None if body[field] in but else error(message, **fields)


def together(limit, message, status=400):
    """A refusal of an answer that does not fit beside the prompt."""
    return lambda body: error(message, status) if max(body.get(name, 0) for name in BOTH) > limit else None


ONLY_1 = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
CONTEXT = "This model's maximum context length is 32768 tokens and your request has 12 input tokens."
BOTH = ("max_tokens", "max_completion_tokens")
VLLM = Provider(
    "/v1/chat/completions", None, "Qwen/Qwen3-32B", BOTH,
    {"model": together(32756, f"'max_tokens' is too large: 40000. {CONTEXT}")},
    {"reasoning": "hm"}, {"max_new_tokens": 40000}, "lower sampling.max_new_tokens, or let the server accept more",
)  # fmt: skip
PROVIDERS = {
    "gpt": Provider(
        "/v1/chat/completions", "OPENAI_API_KEY", "gpt-.*", ("max_completion_tokens",),
        {"temperature": named("temperature", 1, message=ONLY_1, param="temperature"),
         "max_tokens": named("max_tokens", message="Unsupported: 'max_tokens'. Use 'max_completion_tokens'.")},
        {}, {"temperature": 0}, "(set sampling.temperature: null)",
    ),
    "deepseek": Provider(
        "/api/v1/chat/completions", "OPENROUTER_API_KEY", r"[\w-]+/[\w.-]+", BOTH,
        {"top_k": lambda body: body["provider"]["require_parameters"] and error(
            "No endpoints found that can handle the requested parameters.", 404)},
        {"reasoning": "hm"}, {"options": {"provider": {"require_parameters": True}, "top_k": 5}},
        "No endpoints found that can handle the requested parameters",
    ),
    "claude": Provider(
        "/v1/chat/completions", "ANTHROPIC_API_KEY", "claude-.*", BOTH,
        {"temperature": named("temperature", message="`temperature` is deprecated for this model.")},
        {}, {"temperature": 0}, "`temperature` is deprecated for this model. (set sampling.temperature: null)",
    ),
    "gemini": Provider(
        "/v1beta/openai/chat/completions", "GEMINI_API_KEY", "gemini-.*", BOTH,
        {"logprobs": lambda body: (400, [{"error": {"message": "Logprobs is not enabled for this model"}}])},
        {}, {"first_tokens": 5}, "the protocol alpaca_eval needs log-probabilities: choose another judge",
    ),
    "llama": Provider(
        "/v1/chat/completions", "TOGETHER_API_KEY", r"[\w-]+/[\w.-]+", ("max_tokens",),
        {"model": together(8181, "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 12 and 9000", 422)},
        {}, {"max_new_tokens": 9000}, "lower sampling.max_new_tokens",
    ),
    "azure": Provider(
        "/openai/v1/chat/completions", "AZURE_OPENAI_API_KEY", "my-deployment", BOTH, {}, {},
        {"model": "gpt-5.4"}, "The API deployment for this resource does not exist",
    ),
    "vllm": VLLM,
    "sglang": VLLM._replace(answer={"reasoning_content": "hm"}),
    "tgi": Provider(
        "/v1/chat/completions", None, ".*", ("max_tokens",),
        {"top_p": lambda body: (422, {"error": "Input validation error: `top_p` must be > 0.0 and < 1.0"})},
        {}, {"top_p": 1}, "(set sampling.top_p: null)",
    ),
    "ollama": Provider(
        "/v1/chat/completions", None, "qwen3:8b", ("max_tokens",), {}, {"reasoning": "hm"},
        {"model": "llama9"}, "name another model (the endpoint has m-2024-04-09, other)",
    ),
}  # fmt: skip
NO_MODEL = {
    "azure": "The API deployment for this resource does not exist.",
    "ollama": 'model "llama9" not found, try pulling it first',
}


@pytest.fixture(scope="module")
def server():
    server = BehaviourServer()
    yield server
    server.shutdown()
    server.server_close()


def follow(server, name, provider):
    """Let the server reply as the provider does."""

    def reply(body):
        path, headers = server.headers[-1]
        if path != provider.path:
            return error("Not found", 404)
        if provider.key and headers["Authorization"] != f"Bearer key of {provider.key}":
            return error("Incorrect API key", 401)
        if not re.fullmatch(provider.model, body["model"]):
            return error(NO_MODEL.get(name, f"The model `{body['model']}` does not exist"), 404)
        for field, refusal in provider.refuses.items():
            if field in body and (refused := refusal(body)):
                return refused
        limited = set(provider.limits) & set(body)
        usage = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 28 if name == "gemini" else 21}
        return completion("fine", "stop" if limited else "length", usage, **provider.answer)

    server.forget({None: reply})


def ask(server, folder, name, monkeypatch, change=()):
    """The result of a row with the entry of the page, at the server instead of its host; or the message of the job."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config["teachers"] = {**config["teachers"], name: ENTRIES[name]}
    monkeypatch.chdir(ROOT)
    assert fill_and_check(config) == []
    spec = config["teachers"][name]
    own = {key: value for key, value in dict(change).items() if key in spec}
    spec |= own | {"sampling": spec["sampling"] | {key: value for key, value in dict(change).items() if key not in own}}
    if variable := spec["openai"]["api_key_env"]:
        monkeypatch.setenv(variable, f"key of {variable}")
    spec["openai"]["base_url"] = server.address + urlsplit(spec["openai"]["base_url"]).path
    prices = {spec["model"]: {"input": 1e6, "output": 1e6}}
    load = loader(spec, API | {"concurrency": 1, "prices": prices, "ledger": str(folder / "spent_usd.txt")})
    try:
        return asker(spec, folder / "rows", load)([{"id": "1", "instruction": "Hello"}])[0]
    except SystemExit as problem:
        return str(problem)


def test_every_entry_of_the_page_has_a_provider():
    assert ENTRIES.keys() == PROVIDERS.keys()
    variables = {provider.key for provider in PROVIDERS.values() if provider.key}
    assert variables == set(re.findall(r"[A-Z]+(?:_[A-Z]+)*_API_KEY", TEXTS["docs/providers.md"]))


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_entry_of_the_page_works_at_its_provider(server, tmp_path, name, monkeypatch):
    follow(server, name, PROVIDERS[name])
    result = ask(server, tmp_path, name, monkeypatch)
    assert (result["text"], result["finish_reason"]) == ("fine", "stop"), result
    assert result["usd"] == 12 + (16 if name == "gemini" else 9)  # Gemini bills the thinking that only the total has
    assert stored(tmp_path) == ["fine"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_known_mistake_at_a_provider_is_named_and_nothing_is_stored(server, tmp_path, name, monkeypatch):
    follow(server, name, PROVIDERS[name])
    message = ask(server, tmp_path, name, monkeypatch, PROVIDERS[name].change)
    assert isinstance(message, str) and PROVIDERS[name].expected in message, message
    assert stored(tmp_path) == [] and "key of" not in message
