"""What `check` reports about a model before a GPU is used, all problems at once; an unreachable hub is no problem."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.checks import print_checks

PLAIN = str(ROOT / "config/templates/plain.jinja")


class Hub(BaseHTTPRequestHandler):
    """The hub's replies about models that do not exist, and the names of an organization's models."""

    def do_GET(self):
        if self.path.startswith("/api/models?"):
            names = ["acme/rocket-7b", "acme/rocket-13b", "acme/anvil"] if "author=acme" in self.path else []
            return self.send(200, json.dumps([{"_id": n, "id": n, "modelId": n} for n in names]).encode())
        if "/gated" in self.path:
            return self.send(403, b"{}", "GatedRepo")
        if "/revision/" in self.path:
            return self.send(404, b"{}", "RevisionNotFound")
        return self.send(404, b"{}", "RepoNotFound")

    def send(self, status, body, code=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def check(tmp_path, models, hub="http://127.0.0.1:9"):
    """What the script prints, and the facts that it writes."""
    command = [sys.executable, "-m", "scripts.checks.check_models", "--models", json.dumps(models)]
    command += ["--output", tmp_path / "facts.json"]
    environment = os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8")) if done.returncode == 0 else None
    return done.stdout, facts


def base(model, template=PLAIN, **more):
    return {"model": str(model), "revision": None, "chat_template": template, "trust_remote_code": False, **more}


def test_a_good_folder_gives_its_facts(tmp_path, tiny, tiny_reward_model):
    reward = {**base(tiny_reward_model, None), "output": "logits"}
    models = {"bases": {"b": base(tiny)}, "reward_models": {"r": reward}}
    _, facts = check(tmp_path, models)
    assert facts["bases"]["b"]["context_length"] == 512
    assert facts["bases"]["b"]["end_of_turn"] == "<|end|>"
    assert facts["bases"]["b"]["weight_bytes"] == (tiny / "model.safetensors").stat().st_size
    assert len(facts["reward_models"]["r"]["chat_template"]) == 64


@pytest.mark.fault(14)
@pytest.mark.fault(15)
@pytest.mark.fault(16)
def test_all_problems_are_reported_at_once_in_a_line_each(tmp_path, tiny, hub):
    shutil.copytree(tiny, tmp_path / "pickled")
    (tmp_path / "pickled/model.safetensors").rename(tmp_path / "pickled/pytorch_model.bin")
    shutil.copytree(tiny, tmp_path / "broken")
    (tmp_path / "broken/config.json").write_text("{}")
    endless, foreign = tmp_path / "endless.jinja", tmp_path / "foreign.jinja"
    endless.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    foreign.write_text("{% for m in messages %}<|im_start|>{{ m.content }}{{ eos_token }}{% endfor %}")
    sampling = {"max_new_tokens": 512}
    endpoint = {"model": "gpt", "engine": "openai", "openai": {"api_key_env": "NOT_SET_ANYWHERE"}}
    models = {
        "teachers": {
            "typo": base("acme/roket-7b", None, engine="transformers", sampling=sampling),
            "shut": base("acme/gated", None, engine="transformers", sampling=sampling),
            "moved": base("acme/anvil", None, engine="transformers", sampling=sampling) | {"revision": "deadbeef"},
            "full": base(tiny, engine="transformers", sampling=sampling),
            "slash": base("acme/anvil/", None, engine="transformers", sampling=sampling),
            "api": endpoint,
        },
        "bases": {
            "pickled": base(tmp_path / "pickled"),
            "broken": base(tmp_path / "broken"),
            "endless": base(tiny, str(endless)),
            "foreign": base(tiny, str(foreign)),
        },
        "reward_models": {"no-head": {**base(tiny), "output": "logits"}},
    }
    output, _ = check(tmp_path, models, hub)
    expected = [
        "teachers.typo: no model acme/roket-7b on the hub, or no access to it (did you mean acme/rocket-7b",
        "teachers.shut: acme/gated is gated: accept its license at https://huggingface.co/acme/gated and set HF_TOKEN",
        "teachers.moved: acme/anvil has no revision deadbeef",
        "teachers.full: sampling.max_new_tokens (512) leaves no room for a prompt in the context of 512 tokens",
        "teachers.slash: acme/anvil/ is not a name on the hub",
        "teachers.api: the environment variable NOT_SET_ANYWHERE is not set",
        "bases.pickled: it has no weights in *.safetensors; pickled weights are not loaded",
        "bases.broken: its config cannot be read: Unrecognized model",
        "bases.endless: the chat template ends a response without a control token",
        "bases.foreign: its chat template writes <|im_start|>, which is not a token of its tokenizer",
        "reward_models.no-head: it has 2 outputs; a reward model has one",
    ]
    lines = [line for line in output.splitlines() if line.startswith(("teachers.", "bases.", "reward_models."))]
    for line in expected:
        assert any(found.startswith(line) for found in lines), (line, output)
    assert "Traceback" not in output


@pytest.mark.fault(30)
def test_a_model_on_an_unreachable_hub_is_not_checked_and_is_no_error(tmp_path):
    output, facts = check(tmp_path, {"bases": {"b": base("acme/rocket-7b")}})
    assert facts["bases"]["b"]["model"] == "acme/rocket-7b" and "not checked" in facts["bases"]["b"], output


def test_models_that_were_not_checked_are_named_and_how_to_try_again(tmp_path, monkeypatch, capsys):
    facts = {"bases": {"b": {"model": "acme/rocket-7b", "not checked": "no route to host"}}}
    facts["judges"] = {"j": {"model": "gpt"}}
    facts["teachers"] = {"t": {"model": "a/b", "commit": "abc", "weight_bytes": 15_200_000_000, "context_length": 8192}}
    (tmp_path / "all.json").write_text(json.dumps(facts))
    monkeypatch.setattr("sys.argv", ["x", "--facts", str(tmp_path / "all.json"), "--disk"])
    print_checks.main()
    assert capsys.readouterr().out.splitlines() == [
        "  bases.b: acme/rocket-7b, not checked: no route to host",
        "  judges.j: gpt, an endpoint whose key is set",
        "  teachers.t: a/b, commit abc, 15.20 GB of weights, 8192 tokens of context",
        "2 of 3 models were checked: nothing is wrong.",
        f"1 of 3 models was not checked. To try again, delete {tmp_path}.",
    ]
    monkeypatch.setattr("sys.argv", ["x", "--facts", "--disk"])
    print_checks.main()
    assert capsys.readouterr().out == "The study trains all of its models itself: there is nothing to check.\n"


def test_checkpoints_that_do_not_fit_on_the_disk_are_an_error(tmp_path):
    (tmp_path / "facts.json").write_text(json.dumps({"bases": {"b": {"weight_bytes": 10**15}}}))
    command = [sys.executable, "-m", "scripts.checks.check_disk", "--facts", tmp_path / "facts.json"]
    command += ["--pairs", "b/x", "b/y", "--checkpoints", tmp_path, "--output", tmp_path / "disk.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr.startswith("checkpoints and responses need 2000000.0 GB (b 2000000.0 GB), and ")
    for teacher in "xy":  # they exist already
        (tmp_path / "b" / teacher).mkdir(parents=True)
        (tmp_path / "b" / teacher / "manifest.json").write_text("{}")
    assert subprocess.run(command).returncode == 0


def test_a_ranking_needs_no_key_of_a_judge_and_another_running_time_checks_nothing_again(checkout, tiny_reward_model):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config["reward_models"]["right-answer"]["model"] = str(tiny_reward_model)
    config["judges"] = {"api": {"model": "gpt", "engine": "openai", "openai": {"api_key_env": "NOT_SET_ANYWHERE"}}}
    outputs = {}
    for target, runtime in (("rank", 60), ("rank", 70), ("all", 70)):
        config["reward_models"]["right-answer"]["runtime"] = runtime
        (checkout / "mine.yaml").write_text(yaml.safe_dump(config))
        done = snakemake(
            f"results/miniature/checks/{target}.json", "--cores", "1", "--configfile", "mine.yaml", cwd=checkout
        )
        outputs[target, runtime] = done.stdout
    assert "1 of 1 steps (100%) done" in outputs["rank", 60]
    assert "Nothing to be done" in outputs["rank", 70]
    assert "the environment variable NOT_SET_ANYWHERE is not set" in outputs["all", 70]


def test_the_target_check_runs_nothing_else(checkout, tiny, tiny_reward_model):
    config = {
        "study": "mine",
        "instructions": {"path": "q.jsonl", "columns": {"instruction": "q"}},
        "teachers": {"t": {"model": str(tiny), "chat_template": PLAIN, "gpus": 0, "sampling": {"max_new_tokens": 9}}},
        "bases": {"b": {"model": str(tiny), "chat_template": PLAIN, "gpus": 0}},
        "reward_models": {"r": {"model": str(tiny_reward_model), "gpus": 0}},
        "finetune": {"max_length": 256},
        "car": {"reward_model": "r"},
    }
    (checkout / "q.jsonl").write_text('{"q": "one"}\n')
    (checkout / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake("check", "--cores", "1", "--configfile", "mine.yaml", cwd=checkout)
    assert done.returncode == 0, done.stdout
    assert f"  bases.b: {tiny}, a folder, 0.00 GB of weights, 512 tokens of context\n" in done.stdout
    assert "3 of 3 models were checked: nothing is wrong.\n" in done.stdout
    assert "  instructions: q.jsonl, 1 of the first 1 rows have a text in instruction\n" in done.stdout
    files = {str(path.relative_to(checkout / "results/mine")) for path in (checkout / "results/mine").rglob("*.json")}
    checks = {"checks/all.json", "checks/disk.json", "checks/sources.json"}
    assert files == checks | {"rows/code.json"}  # the last records the code of the check
    assert not (checkout / "results/mine/instructions.parquet").exists()
