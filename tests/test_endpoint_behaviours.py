"""Server behaviour -> stored, retried, closed, reason, message: nothing is stored that a later run would wish back."""

import hashlib
import os
from pathlib import Path

import polars as pl
import pytest

from endpoint_behaviours import ASIDE, CLOSED, FAILED, STORED, BehaviourServer, completion, error
from scripts.engines.engine_openai import CONTROL, check
from scripts.engines.generation import answer_instructions, asker, loader
from scripts.engines.ledger import spent

SAMPLING = {"max_new_tokens": 200, "temperature": None, "top_p": None, "seed": 0, "batch_tokens": 1, "options": {}}
API = {"concurrency": 2, "timeout_s": 2, "retries": 1, "budget_usd": None, "prices": {}, "set_aside_refused": False}
EVERYTHING_SET = {"temperature": 0.5, "top_p": 0.9, "options": {"top_k": 5}}
REFUSED = error("We cannot serve this.")
TRIVIAL = CONTROL["instruction"]


@pytest.fixture(scope="module")
def server():
    server = BehaviourServer()
    yield server
    server.shutdown()
    server.server_close()


def spec_of(server, path="/v1", sampling=(), key="sk-secret-0123456789", **more):
    os.environ["TEST_KEY"] = key
    endpoint = {"base_url": server.address + path, "api_key_env": "TEST_KEY", "max_tokens_name": "max_tokens"}
    spec = {"engine": "openai", "model": "m", "openai": endpoint, "chat_template": None, **more}
    return spec | {"sampling": SAMPLING | dict(sampling)}


def run(server, folder, prompts, path="/v1", sampling=(), key="sk-secret-0123456789", **api):
    """Results of the prompts and no message, or None and the message of the job, which failed."""
    spec = spec_of(server, path, sampling, key)
    settings = API | {"ledger": str(folder / "spent_usd.txt")} | api
    ask = asker(spec, folder / "rows", loader(spec, settings))
    try:
        return ask([{"id": str(i), "instruction": prompt} for i, prompt in enumerate(prompts)]), None
    except SystemExit as problem:
        return None, str(problem)


def stored(folder):
    """What is stored: the reason why a text cannot be used, or the text."""
    frames = [pl.read_parquet(path) for path in (folder / "rows").rglob("*.parquet")]
    return sorted(row["reason"] or row["text"] for frame in frames for row in frame.iter_rows(named=True))


PROMPTS = ["one", "two", "odd", "three", "four"]
ANSWERS = sorted(prompt[::-1] for prompt in PROMPTS if prompt != "odd")


@pytest.mark.fault(10)
@pytest.mark.fault(17)
@pytest.mark.parametrize("name", [*STORED, *ASIDE, *FAILED])
def test_one_row_that_an_endpoint_does_not_answer_concerns_only_this_row(server, tmp_path, name):
    reply, outcome, expected, requests = (STORED | ASIDE | FAILED)[name]
    server.forget({"odd": reply})
    results, message = run(server, tmp_path, PROMPTS)
    assert server.asked["odd"] == requests and all(server.asked[prompt] == 1 for prompt in PROMPTS if prompt != "odd")
    assert stored(tmp_path) == sorted([*ANSWERS, expected] if outcome == "stored" else ANSWERS)
    if outcome == "failed":
        assert message.startswith("1 of 5 rows failed; the next run repeats only these: 1 x ") and expected in message
    else:
        assert (results[2]["reason"] or results[2]["text"]) == expected
    server.forget()  # the server answers every row by now
    later, message = run(server, tmp_path, PROMPTS)
    assert message is None and set(server.asked) == (set() if outcome == "stored" else {"odd"})
    assert later == results if outcome == "stored" else later[2]["text"] == "ddo"


FORMS = [name for name in STORED if "thinking" in name]
USED_UP = "thinking_used_the_budget"


@pytest.mark.parametrize("mode", ["strip", "keep", "separate"])
def test_thinking_in_every_form_becomes_the_same(server, tmp_path, mode):
    asked = pl.DataFrame({"id": FORMS, "instruction": FORMS})
    expected = {"strip": ("fine", None), "keep": ("<think>\nhm\n</think>\n\nfine", None), "separate": ("fine", "hm")}
    for reasoning in ("strip", mode):
        server.forget({name: STORED[name].reply for name in FORMS})
        spec, settings = spec_of(server, reasoning=reasoning), API | {"ledger": str(tmp_path / "usd.txt")}
        rows = answer_instructions(asked, spec, tmp_path / "rows", loader(spec, settings))
        for name, text, reason, thinking in rows.select("id", "text", "reason", "reasoning").iter_rows():
            assert (text, thinking) == ((None, None) if name.startswith("cut") else expected[reasoning])
            assert reason == (USED_UP if name.startswith("cut") else None)
    assert mode == "strip" or not server.asked  # the texts are stored as they came


def test_answers_stored_before_thinking_was_are_asked_again_where_it_is_needed(server, tmp_path):
    asked = pl.DataFrame({"id": ["a"], "instruction": ["a"]})
    settings = API | {"ledger": str(tmp_path / "usd.txt")}
    for mode, requests in (("strip", 1), ("strip", 0), ("keep", 1), ("separate", 0)):
        server.forget({"a": STORED["thinking beside it"].reply})
        spec = spec_of(server, reasoning=mode)
        answer_instructions(asked, spec, tmp_path / "rows", loader(spec, settings))
        assert server.asked["a"] == requests
        if mode == "strip":
            [shard] = tmp_path.glob("rows/*/*.parquet")
            content = pl.read_parquet(shard).drop("reasoning", strict=False)
            shard.unlink()
            content.write_parquet(tmp_path / "old")
            digest = hashlib.sha256((tmp_path / "old").read_bytes()).hexdigest()
            (tmp_path / "old").rename(shard.with_name(f"{digest}.parquet"))


@pytest.mark.fault(17)
@pytest.mark.fault(27)
@pytest.mark.parametrize("name", CLOSED)
def test_an_endpoint_that_answers_nothing_gets_few_requests_and_nothing_is_stored(server, tmp_path, name):
    reply, expected = CLOSED[name]
    server.forget({None: reply})
    prompts = [f"row {i}" for i in range(30)]
    _, message = run(server, tmp_path, prompts, sampling=EVERYTHING_SET)
    assert "30 of 30 rows failed" in message and expected in message and "sk-secret" not in message
    assert "x not asked, because" in message
    assert len(set(server.asked) - {TRIVIAL}) <= API["concurrency"] and server.asked[TRIVIAL] <= 2
    assert stored(tmp_path) == []
    server.forget()
    results, _ = run(server, tmp_path, prompts, sampling=EVERYTHING_SET)
    assert [result["text"] for result in results] == [prompt[::-1] for prompt in prompts]


def test_rows_that_are_refused_close_no_endpoint_and_come_last_in_the_next_run(server, tmp_path):
    odd = [0, 1, 2, 3, 40, 41, 42, 43, 44, 45, 119]  # the first rows, and several in a row
    prompts = [f"row {i}" for i in range(120)]
    server.forget({prompts[i]: REFUSED for i in odd})
    _, message = run(server, tmp_path, prompts, concurrency=1)
    assert message.startswith("11 of 120 rows failed; the next run repeats only these: 11 x BadRequestError (400): We")
    assert len(stored(tmp_path)) == 109 and 1 <= server.asked[TRIVIAL] <= 4
    more = [*prompts, *(f"new {i}" for i in range(100))]
    server.forget({prompts[i]: REFUSED for i in odd})
    _, message = run(server, tmp_path, more, concurrency=1)
    asked = [body["messages"][0]["content"] for body in server.bodies]
    asked = [prompt for prompt in asked if prompt != TRIVIAL]
    assert asked == [*(f"new {i}" for i in range(100)), *(prompts[i] for i in odd)]
    assert message.startswith("11 of 220 rows failed") and len(stored(tmp_path)) == 209


def test_a_setting_goes_on_without_refused_rows_which_are_not_stored(server, tmp_path, capsys):
    server.forget({"odd": REFUSED, "four": completion("", "length")})
    _, message = run(server, tmp_path, PROMPTS)
    assert "to go on without such rows: api.set_aside_refused" in message
    results, message = run(server, tmp_path, PROMPTS, set_aside_refused=True)
    assert message is None
    assert [row["reason"] for row in results] == [None, None, "refused", None, "thinking_used_the_budget"]
    assert "2 of 5 rows set aside, and not stored: 1 x BadRequestError (400)" in capsys.readouterr().out
    assert len(stored(tmp_path)) == 3


def test_an_account_that_runs_out_of_money_gets_no_request_for_each_row(server, tmp_path):
    def reply(body, answered=[]):  # noqa: B006 (remembers its calls)
        answered.append(body)
        return completion("yes") if len(answered) <= 10 else error("Insufficient Balance", 402)

    server.forget({None: reply})
    _, message = run(server, tmp_path, [f"row {i}" for i in range(300)])
    assert "290 of 300 rows failed" in message and len(stored(tmp_path)) == 10
    assert len(server.bodies) < 10 + 10


def test_a_busy_endpoint_is_not_closed_because_of_refused_rows(server, tmp_path):
    server.forget({"odd": REFUSED, TRIVIAL: error("slow down", 429)})
    _, message = run(server, tmp_path, ["odd", *PROMPTS[:2]], concurrency=1)
    assert message.startswith("1 of 3 rows failed") and len(stored(tmp_path)) == 2


def strict(body):
    """An endpoint that accepts neither a temperature, nor top_p, nor a seed."""
    set_here = {"temperature", "top_p", "seed"} & set(body)
    return error(f"Unsupported parameter: {set_here}") if set_here else completion("fine")


def test_what_is_not_set_is_not_sent(server, tmp_path):
    server.forget({None: strict})
    results, _ = run(server, tmp_path, PROMPTS)
    assert [row["text"] for row in results] == ["fine"] * 5
    assert set(server.bodies[0]) == {"model", "messages", "max_tokens"}
    _, message = run(server, tmp_path, PROMPTS, sampling={"temperature": 0, "top_p": 1})
    assert "(set sampling.temperature: null; set sampling.top_p: null)" in message
    server.forget()
    run(server, tmp_path, PROMPTS[:1], sampling={"temperature": 0, "top_p": 1})
    run(server, tmp_path, PROMPTS[:1], sampling={"temperature": 1, "seed": None})
    assert [{key: body.get(key) for key in ("temperature", "top_p", "seed")} for body in server.bodies] == [
        {"temperature": 0, "top_p": 1, "seed": None},
        {"temperature": 1, "top_p": None, "seed": None},
    ]


PRICES = {"m": {"input": 1_000_000, "output": 1_000_000}}  # a dollar per token


@pytest.mark.parametrize(
    "usage, usd",
    [
        ({"prompt_tokens": 7, "completion_tokens": 2}, 7 + 2),
        (None, 4 + 3),  # 12 and 9 bytes, a third of each
        ({"prompt_tokens": 7}, 7 + 3),
        ({"prompt_tokens": 0, "completion_tokens": 0}, 4 + 3),
        ({"completion_tokens": 2}, 4 + 2),
        ({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 19}, 7 + 12),  # Gemini bills its thinking
        ({"prompt_tokens": "7", "completion_tokens": -1}, 4 + 3),
    ],
)
def test_tokens_that_an_endpoint_does_not_report_are_estimated_and_this_is_said(server, tmp_path, capsys, usage, usd):
    server.forget({"twelve bytes": completion("nine byte", usage=usage)})
    (row,), _ = run(server, tmp_path, ["twelve bytes"], prices=PRICES)
    assert row["usd"] == usd and spent(tmp_path / "spent_usd.txt") == usd
    said = "does not report all tokens: dollars are estimated from the length of texts" in capsys.readouterr().out
    reported = {name: n for name, n in (usage or {}).items() if isinstance(n, int) and n > 0}
    assert said != ({"prompt_tokens", "completion_tokens"} <= set(reported))
    assert row["n_tokens"] == reported.get("completion_tokens")  # an estimate is not a number of tokens


def test_a_model_that_only_thinks_is_billed_for_few_rows(server, tmp_path):
    server.forget({None: completion("", "length"), TRIVIAL: completion("yes")})
    _, message = run(server, tmp_path, [f"row {i}" for i in range(30)], prices=PRICES)
    assert "x not asked, because no row was answered: thinking used all of sampling.max_new_tokens" in message
    assert 3 <= len(set(server.asked) - {TRIVIAL}) <= 4 and server.asked[TRIVIAL] == 1
    assert spent(tmp_path / "spent_usd.txt") == 15 * len(server.bodies)


@pytest.mark.parametrize(
    "path, reply, expected",
    [
        ("", (404, {"detail": "Not Found"}), "Not Found: does base_url (ADDRESS) lack /v1?"),
        ("", (404, b"404 page not found"), "404 page not found: does base_url (ADDRESS) lack /v1?"),
        ("", "garbage", "not a chat completion: does base_url (ADDRESS) lack /v1?"),
        ("/v1", (404, {"detail": "no such model"}), "no such model: name another model (the endpoint has"),
    ],
)
def test_a_base_url_without_v1_is_named(server, tmp_path, path, reply, expected):
    server.forget({None: reply})
    _, message = run(server, tmp_path, PROMPTS, path)
    assert expected.replace("ADDRESS", server.address) in message


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://h/v1/chat/completions", "base_url https://h/v1/chat/completions is the address of one function: "
                                          "write https://h/v1"),
        ("https://h/v1/models/", "write https://h/v1"),
        ("https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21", "is not Azure's v1 "
         "address: write https://r.openai.azure.com/openai/v1, and the deployment as model"),
        ("https://r.openai.azure.com", "write https://r.openai.azure.com/openai/v1, and the deployment as model"),
        ("https://r.services.ai.azure.com/models", "write https://r.services.ai.azure.com/openai/v1"),
        ("https://api.anthropic.com/v1/messages", "write https://api.anthropic.com/v1"),
        ("http://localhost:11434/api/chat", "write http://localhost:11434/api"),
        ("https://h/v1?key=1", "has parameters, which are not supported"),
        ("${NO_SUCH_URL}", "the environment variable NO_SUCH_URL is not set"),
        ("http://${NO_SUCH_HOST}:8000/v1", "the environment variable NO_SUCH_HOST is not set"),
        ("${SET_URL}", "base_url node7:8000/v1 does not begin with http:// or https://"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_work_is_refused_before_any_request(url, expected, monkeypatch):
    monkeypatch.setenv("SET_URL", "node7:8000/v1")
    (problem,) = check({"openai": {"base_url": url, "api_key_env": None}})
    assert expected in problem
    for url in (
        "https://h/v1",
        "https://h/v1/",
        "https://r.openai.azure.com/openai/v1/",
        "https://h.models.ai.azure.com/v1",
    ):
        assert not check({"openai": {"base_url": url, "api_key_env": None}})


def test_azure_answers_at_its_v1_address(server, tmp_path):
    def reply(body):
        path, headers = server.headers[-1]
        known = path == "/openai/v1/chat/completions" and headers["Authorization"] == "Bearer sk-secret-0123456789"
        return completion("fine") if known else error("Resource not found", 404)

    server.forget({None: reply})
    results, _ = run(server, tmp_path, PROMPTS, "/openai/v1/", concurrency=1)
    assert [row["text"] for row in results] == ["fine"] * 5


@pytest.mark.fault(25)
def test_a_key_with_a_line_break_works_and_is_not_printed(server, tmp_path):
    server.forget({"odd": REFUSED})
    _, message = run(server, tmp_path, PROMPTS, key="sk-secret-0123456789\n")
    assert message.startswith("1 of 5 rows failed") and "sk-secret" not in message
    assert {headers["Authorization"] for _, headers in server.headers} == {"Bearer sk-secret-0123456789"}


def test_log_probabilities_that_an_endpoint_refuses_are_named(server, tmp_path):
    server.forget({None: error("Logprobs is not enabled for models/m", 400)})
    _, message = run(server, tmp_path, PROMPTS, sampling={"first_tokens": 5})
    assert "the protocol alpaca_eval needs log-probabilities: choose another judge" in message


def test_a_row_without_a_key_keeps_the_word_none_in_messages(server, tmp_path):
    server.forget({"odd": error("none of our models may answer sk-secret-0123456789")})
    _, message = run(server, tmp_path, PROMPTS)
    assert "none of our models may answer ***" in message and Path(tmp_path / "rows").exists()
