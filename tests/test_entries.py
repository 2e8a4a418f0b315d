"""Scripts run by hand: an entry as JSON needs only what has no default, and a wrong one is an error of one line."""

import argparse
import importlib
import json
import re
import shlex

import pytest
import yaml

from conftest import ROOT
from scripts.configuration.check_config import fill_and_check
from scripts.configuration.entries import (
    BASE_KEYS,
    ENGINE_KEYS,
    FINETUNE_KEYS,
    REFERENCE_MODEL_KEYS,
    REWARD_MODEL_KEYS,
    api_settings,
    entry_of,
    keys_of,
)

# every costly script, and those of its options that are read as JSON
SCRIPTS = {
    "scripts.checks.check_models": ["--models"],
    "scripts.responses.generate_responses": ["--model", "--sampling", "--api"],
    "scripts.answers.answer_benchmark": ["--model", "--samplings", "--api"],
    "scripts.judgments.judge_pairs": ["--judge", "--sampling", "--api"],
    "scripts.judgments.judge_grades": ["--judge", "--sampling", "--api"],
    "scripts.judgments.judge_reward": ["--judge"],
    "scripts.rewards.score_rewards": ["--model"],
    "scripts.likelihoods.score_likelihoods": ["--model", "--limits"],
    "scripts.likelihoods.score_lalp": ["--model", "--settings", "--limits"],
    "scripts.gradients.score_gradients": ["--model", "--settings"],
    "scripts.finetuning.finetune": ["--model", "--hyperparameters"],
}
TEMPLATE = "config/templates/plain.jinja"
WRONG = ["{", "[]", "7", '{"modle": "a"}', '{"model": 7}', '{"engine": ["vllm"]}', '{"bases": {"a": 7}}']


@pytest.fixture(autouse=True)
def in_the_root_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_an_entry_gets_the_defaults_of_the_keys_that_are_read_and_of_no_others():
    assert entry_of("reward_model", *REWARD_MODEL_KEYS)('{"model": "m"}') == {
        "model": "m",
        "revision": None,
        "chat_template": None,
        "trust_remote_code": False,
        "output": "logits",
        "attn_implementation": None,
        "batch_tokens": 16384,
    }
    assert entry_of("reference_model", *REFERENCE_MODEL_KEYS)('{"model": "m"}') == {"model": "m", "revision": None}
    assert entry_of("source")('{"dataset": "a/b", "columns": {"instruction": "q"}}')["max_characters"] == 20000
    assert entry_of("likelihoods")("{}") == {"max_length": 8192, "batch_tokens": 8192, "per_token": False}
    assert entry_of("judge_sampling")("{}") == {}
    assert entry_of("finetune", *keys_of("finetune", "checkpoint_minutes"))("{}")["learning_rate"] == 2e-5
    assert api_settings('{"retries": 1}') | {"prices": ...} == {
        "concurrency": 8,
        "timeout_s": 600,
        "retries": 1,
        "set_aside_refused": False,
        "budget_usd": None,
        "prices": ...,
        "poll_s": 60,
        "ledger": "spent_usd.txt",
    }


def test_an_entry_has_the_section_of_its_own_engine_only():
    read = entry_of("answering_model", *ENGINE_KEYS)
    assert set(read('{"model": "m"}')) == set(ENGINE_KEYS) - {"chat_template_kwargs", "reasoning"}  # without defaults
    assert read('{"model": "m", "engine": "vllm"}')["vllm"]["gpu_memory_utilization"] == 0.9
    assert read('{"model": "m", "engine": "openai"}')["openai"]["api_key_env"] == "OPENAI_API_KEY"
    with pytest.raises(argparse.ArgumentTypeError, match="unknown key vllm"):
        read('{"model": "m", "vllm": {}}')


def test_a_base_has_no_adapters_unless_they_are_named():
    read = entry_of("base", *FINETUNE_KEYS, lora=None)
    base = {"model": "m", "chat_template": TEMPLATE}
    assert read(json.dumps(base))["lora"] is None
    assert read(json.dumps(base | {"lora": None}))["lora"] is None
    assert read(json.dumps(base | {"lora": {"rank": 4}}))["lora"]["alpha"] == 32


@pytest.mark.parametrize(
    "kind, keys, section",
    [
        ("answering_model", ENGINE_KEYS, "teachers"),
        ("reward_model", REWARD_MODEL_KEYS, "reward_models"),
        ("base", BASE_KEYS, "bases"),
        ("reference_model", REFERENCE_MODEL_KEYS, "reference_models"),
        ("language_judge", ENGINE_KEYS, "judges"),
    ],
)
def test_what_a_rule_passes_is_left_as_it_is(kind, keys, section):
    """Rows are stored under what a script reads: by hand and in a job it has to be the same."""
    config = yaml.safe_load((ROOT / "config/paper.yaml").read_text(encoding="utf-8"))
    written = {name: dict(entry) for name, entry in config[section].items()}
    assert fill_and_check(config) == []
    for name, entry in config[section].items():
        if "model" in entry:
            read = [*keys, *([entry["engine"]] if "engine" in keys and entry["engine"] in entry else [])]
            passed = {key: entry[key] for key in read if key in entry}
            assert entry_of(kind, *keys)(json.dumps(passed)) == passed
            short = {key: value for key, value in written[name].items() if key in read}
            assert entry_of(kind, *keys)(json.dumps(short)) == passed


@pytest.mark.parametrize(
    "kind, text, line",
    [
        ("base", '{"model": "m"}', "chat_template is missing"),
        ("reward_model", '{"modle": "m"}', "unknown key modle (did you mean model?); model is missing"),
        ("base", '{"model": 7, "chat_template": "t"}', "model: this is read as the number 7, and text is needed"),
        ("finetune", '{"epochs": "2"}', "epochs: the text '2' is given, and a number is needed"),
        ("source", '{"columns": {"instruction": "q"}}', "name either a path or a dataset"),
        ("base", '{"model": "m", "chat_template": "none.jinja"}', "chat_template: no file none.jinja"),
        ("source", '{"path": "none.csv", "columns": {"instruction": "q"}}', "path: no file none.csv"),
        ("base", '["m"]', 'not an object such as {"key": "value"}: ["m"]'),
        ("base", "{model: m}", "not JSON (Expecting property name enclosed in double quotes"),
    ],
)
def test_a_wrong_entry_is_an_error_of_one_line(kind, text, line):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        entry_of(kind)(text)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


def example_of(module) -> list[str]:
    """The arguments of the command in a script's docstring."""
    (command,) = re.findall(rf"^python -m {module.__name__} ((?:.*\\\n)*.*)$", module.__doc__, flags=re.M)
    return [part for word in shlex.split(command.replace("\\\n", " ")) for part in expanded(word)]


def expanded(word: str) -> list[str]:
    """The words that bash makes of terse-{large,small}.parquet."""
    found = re.fullmatch(r"([^{}\s]*){(\w+(?:,\w+)+)}([^{}\s]*)", word)
    return [f"{found[1]}{name}{found[3]}" for name in found[2].split(",")] if found else [word]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_reads_the_command_of_its_docstring(script, monkeypatch):
    module = importlib.import_module(script)
    monkeypatch.setattr("sys.argv", [script, *example_of(module)])
    args = vars(module.parse_args())
    for option in SCRIPTS[script]:
        value = args[option.strip("-")]
        assert all(isinstance(entry, dict) for entry in (value if isinstance(value, list) else [value]))


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("text", WRONG)
def test_a_script_refuses_wrong_json_in_one_line(script, text, monkeypatch, capsys):
    module = importlib.import_module(script)
    option = SCRIPTS[script][0]
    monkeypatch.setattr("sys.argv", [script, *example_of(module), option, text])  # the last one counts
    with pytest.raises(SystemExit, match="2"):
        module.parse_args()
    assert re.search(rf"error: argument {option}: .+\n$", capsys.readouterr().err)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_command_of_a_docstring_ends_in_one_line_where_its_files_do_not_exist(script, tmp_path, monkeypatch):
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(script)
    monkeypatch.setattr("sys.argv", [script, *example_of(module)])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert "results/" in end.value.code and "\n" not in end.value.code
