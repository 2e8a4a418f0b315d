"""Calls of tools in a field of their own: read, rendered by real templates, trained on and exported; never left out."""

import json
from importlib.resources import files

import polars as pl
import pytest
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

import real_tokenizers
from conftest import ROOT
from scripts.datasets.complete_conversations import NAMES, complete_conversations
from scripts.engines.endpoint import CALLS, size_of
from scripts.finetuning.sft_examples import encode_examples
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models.chat import Chat
from scripts.models.template import Unrenderable
from scripts.models.tokenizers import load_tokenizer
from scripts.models.tool_forms import in_form
from scripts.tables.conversations import with_conversations
from scripts.tables.files import write_table

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SMALL = """{{ bos_token }}{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}{% for m in messages %}
{{- '<|' + m.role + '|>' + (m.content or '') -}}
{%- for call in m.tool_calls or [] %}<call>{{ call.function | tojson }}</call>{% endfor %}
{{- eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"""


def call(name, arguments, id_="abcdefghi"):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def talk(arguments=lambda value: value, empty=""):
    """A trajectory of a call, its result, a text with two calls, their results and an answer."""
    oslo, rome = arguments({"city": 'Os"lo ü', "n": 1}), arguments({"city": "Rome"})
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is rain?"},
        {"role": "assistant", "content": empty, "tool_calls": [call("weather", oslo)]},
        {"role": "tool", "content": "wet", "name": "weather", "tool_call_id": "abcdefghi"},
        {"role": "assistant", "content": "One more.", "tool_calls": [call("weather", rome, "b" * 9)]},
        {"role": "tool", "content": "dry", "name": "weather", "tool_call_id": "b" * 9},
        {"role": "assistant", "content": "In Oslo."},
    ]


def read(messages, tools=WEATHER, turns="all"):
    """The row that a table with this conversation has."""
    cells = {"messages": json.dumps(messages), "tools": tools if isinstance(tools, str | None) else json.dumps([tools])}
    source = {"path": "x.jsonl", "columns": {name: name for name in cells}, "turns": turns}
    return with_conversations(pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)), source).row(0, named=True)


def test_arguments_are_read_as_an_object_or_as_its_json_and_shown_as_text():
    row = read(talk())
    assert row == read(talk(json.dumps, None)) and row["unreadable"] is None
    assert json.loads(row["messages"]) == talk()[:2] and json.loads(row["turns"]) == talk()[2:]
    assert json.loads(row["tools"]) == [WEATHER]
    assert row["instruction"] == f"tools: {json.dumps([WEATHER])}\n\nsystem: Be brief.\n\nuser: Where is rain?"
    assert row["response"] == (
        'assistant: weather({"city": "Os\\"lo ü", "n": 1})\n\ntool: wet\n\n'
        'assistant: One more.\nweather({"city": "Rome"})\n\ntool: dry\n\nassistant: In Oslo.'
    )


def test_an_answer_that_is_a_call_and_an_older_function_call_are_read():
    older = [{"role": "user", "content": "a"}, {"role": "assistant", "function_call": {"name": "f", "arguments": ""}}]
    row = read(older, tools=None, turns="last")
    assert (row["instruction"], row["messages"], row["tools"], row["response"]) == ("a", None, None, "f({})")
    calls = [{"type": "function", "function": {"name": "f", "arguments": {}}}]
    assert json.loads(row["turns"]) == [{"role": "assistant", "content": "", "tool_calls": calls}]


@pytest.mark.parametrize("arguments", ["{", "[1]", 7, ["a"]])
def test_a_call_without_an_object_of_arguments_is_a_reason(arguments):
    assert read(talk(lambda value: arguments))["unreadable"] == "tool_calls"


@pytest.mark.parametrize("message", [{"role": "user", "content": "a"}, {"role": "tool", "content": "a"}])
def test_a_call_of_another_role_is_a_reason(message):
    assert read([message | {"tool_calls": [call("f", {})]}])["unreadable"] == "tool_calls"


@pytest.mark.parametrize(
    ("cell", "reason"), [("{", "not_tools"), ('[{"a": 1}]', "not_tools"), ("", None), ("null", None)]
)
def test_tools_are_a_list_of_objects_with_a_name(cell, reason):
    row = read(talk(), cell)
    assert row["unreadable"] == reason and row["tools"] is None


def templates_of_trl(*names):
    return {name: (files("trl") / f"chat_templates/{name}.jinja").read_text(encoding="utf-8") for name in names}


RENDERED = templates_of_trl("qwen2_5", "qwen3_training", "qwen3_instruct_2507", "qwen3_5_nothink", "lfm2_2_5")
RENDERED |= {"small": SMALL, "hermes": (ROOT / "config/templates/hermes.jinja").read_text(encoding="utf-8")}
ENDS = [
    "<|im_end|>",
    "<|im_start|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|call|>",
    "<|return|>",
]


def chat_of(template):
    """A template with a tokenizer of bytes, to which the ends of turns of all templates here are control tokens."""
    tokenizer = byte_tokenizer(template)
    tokenizer.add_special_tokens({"extra_special_tokens": ENDS})
    return Chat(tokenizer)


def ids_of(chat, messages, **how):
    return chat.tokenizer.apply_chat_template(messages, tools=[WEATHER], return_dict=False, **how)


def assert_turns_are_those_of_the_rendered_conversation(chat, messages):
    """All ids, and for each answer where it starts and ends, by rendering the conversation up to it and with it."""
    row = read(messages) | {"finish_reason": "stop", "reason": None}
    shown = in_form(messages, chat.template.call_form)
    (example,), counts = encode_examples(chat, pl.DataFrame([row]), max_length=4096)
    whole = ids_of(chat, shown)
    assert counts["n_examples"] == 1
    assert example["input_ids"] + chat.tail == whole
    labels = [-100] * len(example["input_ids"])
    for i, message in enumerate(shown):
        if message["role"] == "assistant":
            start = len(ids_of(chat, shown[:i], add_generation_prompt=True))
            end = len(ids_of(chat, shown[: i + 1])) - len(chat.tail)
            labels[start:end] = whole[start:end]
    assert example["labels"] == labels


@pytest.mark.parametrize("name", RENDERED)
def test_ids_and_labels_of_calls_are_those_of_the_rendered_conversation(name):
    chat = chat_of(RENDERED[name])
    assert_turns_are_those_of_the_rendered_conversation(chat, talk())
    texts = [chat.tokenizer.decode(text) for _, text, _ in chat.turns(read(talk()) | {"finish_reason": "stop"})]
    assert len(texts) == 3 and all("weather" in text for text in texts[:2]) and texts[2].endswith("In Oslo.")


@pytest.mark.parametrize("template", ["own", "hermes"])
def test_on_a_real_tokenizer_too(template):
    path = str(ROOT / "config/templates/hermes.jinja") if template == "hermes" else None
    chat = Chat(load_tokenizer(str(real_tokenizers.folder_of("qwen2_5")), chat_template=path))
    chat.refuse_for_base()
    assert_turns_are_those_of_the_rendered_conversation(chat, talk())


PLAIN = (ROOT / "config/templates/plain.jinja").read_text(encoding="utf-8")
LEFT_OUT = {  # template, conversation, tools: what the error says
    "calls": (PLAIN, talk()[:3], None, "leaves out calls of tools"),
    "tools": (PLAIN, talk()[:2] + talk()[-1:], WEATHER, "leaves out a tool"),
    "a text beside a call": (templates_of_trl("llama3_1")["llama3_1"], talk()[:5], None, "leaves out a text beside"),
    "results": (
        SMALL.replace("(m.content or '')", "(m.content if m.role != 'tool' else '')"),
        talk(),
        None,
        "the result of a tool",
    ),
    "arguments": (SMALL.replace("call.function | tojson", "call.function.name"), talk()[:3], None, "calls of tools"),
    "two calls": (
        SMALL.replace("in m.tool_calls or []", "in (m.tool_calls or [])[:1]"),
        [talk()[1], talk()[2] | {"tool_calls": [call("f", {"a": 1}), call("g", {"b": 2})]}],
        None,
        "a call of a tool and the arguments of a call",
    ),
    "another end": (
        templates_of_trl("gptoss")["gptoss"],
        talk()[:3],
        None,
        "begins or ends a message with calls in another way",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_a_template_leaves_out_is_an_error_by_name(case):
    template, messages, tools, error = LEFT_OUT[case]
    chat = chat_of(template)
    with pytest.raises(Unrenderable, match=error) as raised:
        chat.turns(read(messages, tools) | {"finish_reason": "stop"})
    assert raised.value.reason == ("unrenderable" if case == "another end" else "tools_left_out")


def test_a_control_token_in_a_call_or_a_tool_is_plain_characters():
    chat, hostile = chat_of(RENDERED["hermes"]), "<|im_end|>"
    tool = {"name": hostile, "description": f"a {hostile}", "parameters": {hostile: hostile}}
    messages = [talk()[1], {"role": "assistant", "content": "", "tool_calls": [call(hostile, {hostile: [hostile]})]}]
    (context, text, end), *_ = chat.turns(read(messages, tool) | {"finish_reason": "stop"})
    (token,) = chat.end
    assert end == [token] and token not in text and context.count(token) == 2  # of the tools and of the user
    assert chat.tokenizer.decode(text).count(hostile) == 3 and chat.tokenizer.decode(context).count(hostile) == 6


@pytest.mark.parametrize("name", ["qwen2_5"])
def test_the_data_set_has_tools_and_calls_and_trl_makes_the_same_labels_of_it(name, tiny, tmp_path):
    chat = chat_of(RENDERED[name])
    rows = [read(talk()[:3], turns="last"), read(talk(), tools=None, turns="last"), read(talk()[:2] + talk()[6:])]
    pairs = pl.DataFrame(
        [row | {"id": str(i), "finish_reason": "stop", "reason": None} for i, row in enumerate(rows)],
        infer_schema_length=None,
    )
    table = complete_conversations(pairs, chat)
    assert table["left_out"].null_count() == 3
    write_table(table.select("id", *NAMES, "tools"), tmp_path / "train.parquet")
    loaded = load_dataset("parquet", data_files=str(tmp_path / "train.parquet"), split="train")
    expected = [talk()[:3], talk(), talk()[:2] + talk()[6:]]
    assert [row["messages"] for row in loaded] == [row["prompt"] + row["completion"] for row in loaded] == expected
    assert [row["tools"] for row in loaded] == [[WEATHER], None, [WEATHER]]
    args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, max_length=None, report_to="none")
    trainer = SFTTrainer(
        str(tiny), args, train_dataset=loaded.remove_columns("messages"), processing_class=chat.tokenizer
    )
    ours, _ = encode_examples(chat, pairs, max_length=4096)
    for mine, theirs in zip(ours, trainer.train_dataset, strict=True):
        n = len(mine["input_ids"])
        assert theirs["input_ids"] == mine["input_ids"] + chat.tail and theirs["labels"][:n] == mine["labels"]


def test_an_endpoint_gets_calls_as_openai_writes_them():
    row = {"messages": talk(), "tools": [WEATHER]}
    assert in_form(row["messages"], CALLS) == talk(lambda value: json.dumps(value, ensure_ascii=False), None)
    assert size_of(row) > size_of({"messages": talk()}) > size_of({"messages": [talk()[1]]}) == len("Where is rain?")
