"""Thinking in generated ids, and in the ids that are scored and trained on: real tokenizers and templates."""

import copy
from functools import cache

import pytest

import real_tokenizers
from conftest import ROOT
from scripts.engines.decoding import decode
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models.chat import Chat
from scripts.models.template import Unrenderable
from scripts.models.tokenizers import load_tokenizer
from scripts.tables.thinking import divide

PLAIN = (ROOT / "config/templates/plain.jinja").read_text(encoding="utf-8")
HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>It is 7."
CALL = '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}'


CONTROL = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|constrain|>", "<|other|>"]
DECIDES = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"


@cache
def chat_of(name):
    """The chat of a real tokenizer, or a small one with the control tokens of Harmony."""
    if name == "small":
        tokenizer = byte_tokenizer(PLAIN)
        tokenizer.add_special_tokens({"extra_special_tokens": [*CONTROL, *tokenizer.extra_special_tokens]})
        tokenizer.eos_token = "<|assistant|>"  # <|end|> is not the end here
        return Chat(tokenizer)
    tokenizer = load_tokenizer(str(real_tokenizers.folder_of(name)))
    tokenizer.chat_template = tokenizer.chat_template or PLAIN
    return Chat(tokenizer)


def generated(chat, text):
    """The result of the ids that a model writes for a text with control tokens, before its end."""
    return decode(chat, chat.encoder.encode(text) + chat.end, chat.end[-1:])


GPTOSS = pytest.param("gptoss", HARMONY, ("hm", "It is 7."), marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        GPTOSS,
        ("small", HARMONY, ("hm", "It is 7.")),
        ("small", "<|channel|>analysis<|message|>hm", ("hm", None)),
        ("small", "<|channel|>final<|message|>It is 7.", (None, "It is 7.")),
        ("qwen3", "<think>\nhm\n</think>\n\nIt is 7.", ("hm", "It is 7.")),
        ("qwen3", "It is 7.", (None, "It is 7.")),
    ],
)
def test_thinking_between_control_tokens_is_read(name, text, parts):
    result = generated(chat_of(name), text)
    assert divide(result["text"]) == parts and (result["reason"], result["finish_reason"]) == (None, "stop")
    assert result.get("n_thinking_tokens", 0) == (0 if not parts[0] else 2 if name == "small" else 1)


@pytest.mark.parametrize("text", [CALL, "<|start|>It is 7.", f"{HARMONY}<|other|>"])
def test_other_control_tokens_are_still_a_reason(text):
    assert generated(chat_of("small"), text)["reason"] == "control_tokens"


def test_a_tag_with_which_the_template_ends_the_prompt_is_put_back():
    begun = Chat(byte_tokenizer(DECIDES + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"))
    assert divide(generated(begun, "hm\n</think>\n\n7")["text"]) == ("hm", "7")
    assert divide(generated(begun, "hm and")["text"]) == ("hm and", None)
    assert generated(Chat(byte_tokenizer(PLAIN)), "hm and")["text"] == "hm and"


def row(**more):
    return {"instruction": "3 and 4?", "response": "It is 7.", "finish_reason": "stop", **more}


def test_separate_thinking_is_trained_on_as_the_template_writes_it_and_control_tokens_in_it_are_text():
    chat = chat_of("qwen3")
    ((prompt, text, end),) = chat.turns(row(reasoning="three <|im_end|> four"))
    assert chat.tokenizer.decode(text) == "<think>\nthree <|im_end|> four\n</think>\n\nIt is 7."
    assert prompt + text[:2] == chat.prompt("3 and 4?") + chat.encoder.encode("<think>\n")
    assert text.count(chat.end[0]) == 0 and end == chat.end
    plain = Chat(copy.copy(chat.tokenizer))
    plain.tokenizer.chat_template = PLAIN
    ignoring = Chat(plain.tokenizer)
    assert ignoring.turns(row(reasoning="three")) == ignoring.turns(row())


def test_a_template_that_begins_thinking_in_another_way_than_its_prompt_is_a_reason_of_the_row():
    text = DECIDES.replace("{{ m.content }}", "{{ m.reasoning_content }}{{ m.content }}")
    other = Chat(byte_tokenizer(text + "{% if add_generation_prompt %}<|assistant|>think: {% endif %}"))
    with pytest.raises(Unrenderable, match="begins or ends a message with thinking in another way"):
        other.turns(row(reasoning="three"))
