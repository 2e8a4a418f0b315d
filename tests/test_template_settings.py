"""chat_template_kwargs reaches every rendering, is part of the key of rows, and is compared with the template."""

import json

import polars as pl
import pytest

from fault_server import FaultServer
from scripts.checks.checked_models import models_as_json
from scripts.configuration.entries import BASE_KEYS, ENGINE_KEYS, REWARD_MODEL_KEYS, filled_entry
from scripts.engines.generation import answer_instructions, key_of_rows, loader

BEGIN = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
TEMPLATE = BEGIN + "{% if add_generation_prompt %}<|assistant|>{% if style %}{{ style }}: {% endif %}{% endif %}"
SAMPLING = {"max_new_tokens": 4, "temperature": None, "top_p": None, "seed": 0, "batch_tokens": 512, "options": {}}
KINDS = [("answering_model", ENGINE_KEYS), ("base", BASE_KEYS), ("reward_model", REWARD_MODEL_KEYS)]


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "styled.jinja"
    path.write_text(TEMPLATE, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("kind", "keys"), KINDS)
def test_settings_are_part_of_the_key_and_an_entry_without_them_has_the_key_that_it_had(kind, keys, template):
    entry = {"model": "org/m", "chat_template": template}
    plain, brief = (filled_entry(entry | more, kind, *keys) for more in ({}, {"chat_template_kwargs": {"style": "b"}}))
    assert "chat_template_kwargs" not in plain
    assert brief == plain | {"chat_template_kwargs": {"style": "b"}}
    if kind == "answering_model":
        assert key_of_rows(brief | {"sampling": SAMPLING}) != key_of_rows(plain | {"sampling": SAMPLING})
    checked = [models_as_json({"teachers": {"t": entry}}) for entry in (plain, brief)]
    assert ["kwargs" in text for text in checked] == [False, True]


def test_every_rendering_has_the_settings_and_a_change_asks_again(tiny, template, tmp_path):
    from scripts.models.chat import user
    from scripts.models.loading import load_chat

    entry = {"engine": "transformers", "model": str(tiny), "chat_template": template, "sampling": SAMPLING}
    brief = entry | {"revision": None, "trust_remote_code": False, "chat_template_kwargs": {"style": "brief"}}
    chat, plain = load_chat(brief), load_chat(brief | {"chat_template_kwargs": None})
    text = chat.template.render([user("Hi")], True)
    assert text.endswith("<|assistant|>brief: ") and plain.template.render([user("Hi")], True).endswith("<|assistant|>")
    assert chat.prompt("Hi") == chat.tokenizer(text, add_special_tokens=False).input_ids != plain.prompt("Hi")
    asked = pl.DataFrame({"id": ["a"], "instruction": ["Hi"]})
    for style, folders in (("brief", 1), ("long", 2), ("brief", 2)):
        spec = brief | {"chat_template_kwargs": {"style": style}}
        answer_instructions(asked, spec, tmp_path / "rows", loader(spec, {}))
        assert len([*(tmp_path / "rows").iterdir()]) == folders


def test_settings_that_the_template_never_reads_are_named_with_those_that_it_does(tiny, template):
    from scripts.checks.check_models import check_safely

    entry = {"model": str(tiny), "revision": None, "trust_remote_code": False, "chat_template": template}
    entry |= {"engine": "transformers"}
    assert check_safely("teachers", entry | {"chat_template_kwargs": {"style": "brief"}})[1] == []
    _, problems = check_safely("teachers", entry | {"chat_template_kwargs": {"enable_thinking": False}})
    line = "chat_template_kwargs: its chat template never reads enable_thinking; its own variables are style"
    assert problems == [line]


def test_a_template_with_tags_of_transformers_is_read():
    from scripts.miniature.miniature_tokenizer import byte_tokenizer
    from scripts.models.template import Template

    tags = "{% for m in messages %}{% generation %}{% if deep %}{% break %}{% endif %}{%- endgeneration -%}{% endfor %}"
    assert Template(byte_tokenizer(f"{{{{ bos_token }}}}{tags}")).variables() == {"deep"}


def test_an_endpoint_gets_the_settings_and_only_if_there_are_some(tmp_path):
    server = FaultServer()
    endpoint = {"base_url": server.url, "api_key_env": None, "max_tokens_name": "max_tokens"}
    spec = {"engine": "openai", "model": "m", "openai": endpoint, "chat_template": None, "sampling": SAMPLING}
    api = {"concurrency": 1, "timeout_s": 5, "retries": 0, "budget_usd": None, "prices": {}, "set_aside_refused": False}
    api |= {"ledger": str(tmp_path / "spent_usd.txt")}
    asked = pl.DataFrame({"id": ["a"], "instruction": ["Hi"]})
    for settings in ({}, {"chat_template_kwargs": {"enable_thinking": False, "budget": 100}}):
        answer_instructions(asked, spec | settings, tmp_path / "rows", loader(spec | settings, api))
    server.shutdown()
    assert [body.get("chat_template_kwargs") for body in server.bodies] == [
        None,
        {"enable_thinking": False, "budget": 100},
    ]


def test_the_data_set_of_a_base_gives_trl_the_settings(tmp_path):
    from scripts.datasets.write_dataset import settings_of

    rows = pl.DataFrame({"id": ["a", "b"]}).select("id", *settings_of({"chat_template_kwargs": {"deep": True}}))
    assert json.loads(rows.write_json()) == [{"id": i, "chat_template_kwargs": {"deep": True}} for i in "ab"]
    assert settings_of({}) == []
