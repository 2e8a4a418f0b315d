"""`check` asks each endpoint one small question, so that what it refuses is known before anything is paid."""

import json
import os
import sys
from unittest.mock import patch

import pytest
import yaml

from conftest import ROOT, snakemake
from fault_server import FaultServer, Handler
from judge_server import Grader, Judge
from scripts.checks import check_endpoints
from test_check_models import base, check

CLOSED = "http://127.0.0.1:9/v1"
ALPACA, ARENA = (f"{ROOT}/config/judges/{name}.txt" for name in ("alpaca_eval", "arena_hard"))


class Strict(Handler):
    """An endpoint that has one model, requires a key, and refuses what newer models refuse."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        problem = self.problem_of(body)
        if problem:
            status, message = problem
            return self.send(status, {"error": {"message": message, "type": "invalid_request_error"}})
        self.answer("", "yes")

    def problem_of(self, body):
        if self.headers["Authorization"] == "Bearer wrong":
            return 401, "Incorrect API key provided"
        if body["model"] == "absent":
            return 404, "The model `absent` does not exist"
        if body.get("temperature") == 0:
            return 400, "Unsupported value: 'temperature' does not support 0 with this model."
        if "max_tokens" in body:
            return 400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
        if body["messages"][0]["role"] == "system":
            return 400, "System role not supported"
        return None


@pytest.fixture
def strict():
    server = FaultServer(Strict)
    yield server
    server.shutdown()


def teacher(url, model="m", temperature=None, name="max_completion_tokens", key=None):
    section = {"base_url": url, "api_key_env": key, "max_tokens_name": name}
    return {
        "model": {"engine": "openai", "model": model, "openai": section},
        "sampling": {"max_new_tokens": 64, "temperature": temperature, "top_p": None},
    }


def judge(url, protocol, template, **sampling):
    return teacher(url) | {"protocol": protocol, "judge_templates": [template], "sampling": sampling}


def ask(folder, endpoints, **api):
    """The problems that the script prints, or its facts if nothing is wrong."""
    command = ["check_endpoints", "--endpoints", json.dumps(endpoints)]
    command += ["--api", json.dumps({"retries": 0, "ledger": str(folder / "spent.txt"), **api})]
    command += ["--asked", str(folder / "asked"), "--output", str(folder / "facts.json")]
    with patch.object(sys, "argv", command), patch.dict(os.environ, {"WRONG": "wrong"}):
        try:
            check_endpoints.main()
        except SystemExit as problems:
            return str(problems), None
    return "", json.loads((folder / "facts.json").read_text(encoding="utf-8"))


def test_every_refusal_of_an_endpoint_is_reported_at_once(tmp_path, strict):
    endpoints = {
        "teachers.closed": teacher(CLOSED),
        "teachers.absent": teacher(strict.url, model="absent"),
        "teachers.key": teacher(strict.url, key="WRONG"),
        "teachers.unset": teacher(strict.url, key="NO_SUCH_KEY"),
        "teachers.path": teacher(strict.url.removesuffix("/v1") + "/chat/completions"),
        "teachers.greedy": teacher(strict.url, temperature=0),
        "teachers.tokens": teacher(strict.url, name="max_tokens"),
        "teachers.good": teacher(strict.url),
        "benchmarks.system": judge(strict.url, "alpaca_eval", ALPACA, temperature=None),
    }
    printed, facts = ask(tmp_path, endpoints)
    assert facts is None
    expected = {
        "teachers.closed": "Connection error",
        "teachers.absent": "The model `absent` does not exist",
        "teachers.key": "Incorrect API key provided (the key is that of WRONG)",
        "teachers.unset": "the environment variable NO_SUCH_KEY is not set",
        "teachers.path": "is the address of one function",
        "teachers.greedy": "temperature",
        "teachers.tokens": "max_tokens_name",
        "benchmarks.system": "System role not supported",
    }
    lines = dict(line.split(": ", 1) for line in printed.splitlines())
    assert lines.keys() == expected.keys()
    for place, text in expected.items():
        assert text in lines[place], place


def test_a_judge_without_log_probabilities_is_found(tmp_path, strict):
    template = tmp_path / "judge.txt"
    template.write_text("<|im_start|>user\nQ: {instruction}\n1: {output_1}\n2: {output_2}\n<|im_end|>\n")
    endpoint = judge(strict.url, "alpaca_eval", str(template), temperature=None)
    printed, _ = ask(tmp_path, {"benchmarks.alpaca": endpoint})
    assert printed == f"benchmarks.alpaca: m: {strict.url} sent no log-probabilities of m"


def test_a_request_is_that_of_the_jobs_and_is_not_repeated(tmp_path, strict):
    _, facts = ask(tmp_path, {"teachers.good": teacher(strict.url)}, prices={"m": {"input": 1, "output": 10}})
    [body] = strict.bodies
    assert body["max_completion_tokens"] == 64 and not {"temperature", "top_p", "max_tokens"} & set(body)
    assert facts["teachers.good"] == {
        "model": "m",
        "answer": "yes",
        "reason": None,
        "n_tokens": 100,
        "usd": pytest.approx((10 * 1 + 100 * 10) / 1e6),
    }
    assert float((tmp_path / "spent.txt").read_text()) == pytest.approx(facts["teachers.good"]["usd"])
    strict.shutdown()
    assert ask(tmp_path, {"teachers.good": teacher(strict.url)})[1] == facts  # a finished server may be stopped
    other = teacher(strict.url)
    other["sampling"]["max_new_tokens"] = 65
    strict.server_close()
    assert ask(tmp_path, {"teachers.good": other})[1] is None  # another entry is asked again


def test_it_is_known_whether_a_verdict_can_be_read(tmp_path):
    template = tmp_path / "judge.txt"
    template.write_text("<|im_start|>user\nQ: {instruction}\n1: {output_1}\n2: {output_2}\n<|im_end|>\n")
    server, silent, grader = FaultServer(Judge), FaultServer(), FaultServer(Grader)
    grading = tmp_path / "grading.txt"
    grading.write_text(
        "<|im_start|>user\n<|reference|>R: {reference}\n<|/reference|>Q: {instruction}\nA: {output}<|im_end|>"
    )
    endpoints = {
        "benchmarks.alpaca": judge(server.url, "alpaca_eval", str(template)),
        "benchmarks.arena": judge(server.url, "arena_hard", str(template)),
        "benchmarks.unread": judge(silent.url, "arena_hard", str(template)),
        "benchmarks.grade": judge(grader.url, "grade", str(grading)),
    }
    printed, facts = ask(tmp_path, endpoints)
    assert facts, printed
    assert {place: fact["verdict_read"] for place, fact in facts.items()} == {
        "benchmarks.alpaca": True,
        "benchmarks.arena": True,
        "benchmarks.unread": False,
        "benchmarks.grade": True,
    }
    assert facts["benchmarks.grade"]["answer"] == "It has some words. Rating: [[5]]"  # for five words
    assert grader.bodies[0]["messages"][0]["content"].startswith("R: Eight.\nQ: How many legs")
    [alpaca, arena] = server.bodies
    assert alpaca["max_completion_tokens"] == 1 and alpaca["top_logprobs"] == 5
    assert arena["max_completion_tokens"] == 4096 and arena["temperature"] == 0


def test_a_judge_template_that_the_judges_own_template_refuses_is_named(tmp_path, tiny):
    template = tmp_path / "no_system.jinja"
    template.write_text(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}{{ m.content }}<|end|>{% endfor %}"
    )
    entry = base(tiny, str(template), engine="transformers", judge_templates=[ALPACA, ARENA])
    printed, _ = check(tmp_path, {"judges": {"local": entry}})
    refused = "the chat template cannot be used: System role not supported"
    assert printed.splitlines() == [f"judges.local: {path} cannot be its prompt: {refused}" for path in (ALPACA, ARENA)]


def test_rank_asks_the_teachers_and_check_also_the_judges_before_any_other_job(tmp_path, checkout, tiny):
    config = {
        "study": "asked",
        "instructions": {"path": "q.jsonl", "columns": {"instruction": "q"}},
        "teachers": {
            "gpt": {"engine": "openai", "model": "m", "openai": {"base_url": CLOSED, "api_key_env": None}, "gpus": 0}
        },
        "judges": {
            "judge": {"engine": "openai", "model": "j", "openai": {"base_url": CLOSED, "api_key_env": None}, "gpus": 0}
        },
        "bases": {"b": {"model": str(tiny), "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"r": {"model": str(tiny), "gpus": 0}},
        "benchmarks": {
            "arena": {
                "prompts": {"path": "q.jsonl", "columns": {"instruction": "q"}},
                "protocol": "arena_hard",
                "judge": "judge",
                "baseline": "gpt",
            }
        },
        "finetune": {"max_length": 256},
        "api": {"retries": 0},
        "ap": ["arena.wr"],
        "car": {"reward_model": "r"},
    }
    (checkout / "q.jsonl").write_text('{"q": "one"}\n')
    (checkout / "asked.yaml").write_text(yaml.safe_dump(config))
    printed = {}
    for target in ("rank", "all"):
        facts = f"results/asked/checks/{target}_endpoints.json"
        done = snakemake(facts, "--cores", "1", "--configfile", "asked.yaml", cwd=checkout)
        assert done.returncode == 1
        printed[target] = done.stdout
        plan = snakemake(target, "-n", "--cores", "1", "--configfile", "asked.yaml", cwd=checkout)
        assert "check_endpoints" in plan.stdout, plan.stdout
    assert "teachers.gpt: m: " in printed["rank"] and "benchmarks.arena: " not in printed["rank"]
    assert "teachers.gpt: m: " in printed["all"] and "benchmarks.arena: j: " in printed["all"]
