"""Conversations: read by role, and every message of the assistant scored and trained on, and nothing else."""

import json
from itertools import accumulate

import polars as pl
import pytest
from transformers import AutoModelForCausalLM

from conftest import ROOT
from scripts.finetuning.sft_examples import encode_examples
from scripts.likelihoods.token_scores import score_rows
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models.chat import Chat
from scripts.models.template import Unrenderable
from scripts.tables.conversations import with_conversations
from scripts.tables.sources import read_texts
from test_likelihoods import direct_scores

CHAT = (ROOT / "config/miniature/chat.jinja").read_text(encoding="utf-8")
PLAIN = (ROOT / "config/templates/plain.jinja").read_text(encoding="utf-8")
S, U, A, T = "system", "user", "assistant", "tool"
THREE_TURNS = [(S, "Be brief."), (U, "hi"), (A, "Hello!"), (U, "2+2?"), (A, "4"), (U, "3+3?"), (A, "6")]
TRAJECTORY = [(U, "weather?"), (A, "call weather"), (T, "rain"), (A, "call wind"), (T, "calm"), (A, "Rain, no wind.")]


def said(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def sharegpt(*turns):
    return [{"from": role, "value": content} for role, content in turns]


def read(cells: dict, source=()):
    """The only row of a table with these cells, as it is read."""
    table = pl.DataFrame({k: [v if v is None or isinstance(v, str) else json.dumps(v)] for k, v in cells.items()})
    source = {"path": "x.jsonl", "columns": {name: name for name in cells}} | dict(source)
    return with_conversations(table, source).row(0, named=True)


SHAPES = {  # cells of a row, settings of its source: its instruction, messages before the answer, and response
    "one turn": ({"messages": said((U, " a\r\nb "), (A, " c "))}, {}, "a\nb", None, " c "),
    "sharegpt": ({"messages": sharegpt(("human", "a"), ("gpt", "b"))}, {}, "a", None, "b"),
    "sharegpt, system": (
        {"messages": sharegpt((S, "x"), ("human", "a"), ("gpt", "b"))},
        {},
        "system: x\n\nuser: a",
        [(S, "x"), (U, "a")],
        "b",
    ),
    "capital roles": ({"messages": said(("User", "a"), ("Assistant", "b"))}, {}, "a", None, "b"),
    "parts": (
        {"messages": [{"role": U, "content": [{"type": "text", "text": "a"}]}, *said((A, "b"))]},
        {},
        "a",
        None,
        "b",
    ),
    "three turns": (
        {"messages": said(*THREE_TURNS[1:])},
        {},
        "user: hi\n\nassistant: Hello!\n\nuser: 2+2?\n\nassistant: 4\n\nuser: 3+3?",
        THREE_TURNS[1:-1],
        "6",
    ),
    "ends with the user": (
        {"messages": said((U, "a"), (A, "b"), (U, "c"))},
        {},
        "user: a\n\nassistant: b\n\nuser: c",
        [(U, "a"), (A, "b"), (U, "c")],
        None,
    ),
    "prompt and completion": ({"messages": said((U, "a")), "response": said((A, "b"))}, {}, "a", None, "b"),
    "prompt and text": ({"messages": said((U, "a")), "response": "b"}, {}, "a", None, "b"),
    "system column": ({"instruction": "a", "system": "x"}, {}, "system: x\n\nuser: a", [(S, "x"), (U, "a")], None),
    "empty system column": ({"instruction": "a", "system": None}, {}, "a", None, None),
    "system of the source": ({"instruction": "a"}, {"system": "x"}, "system: x\n\nuser: a", [(S, "x"), (U, "a")], None),
    "its own system and one of the source": (
        {"messages": said((S, "y"), (U, "a"))},
        {"system": "x"},
        "system: y\n\nuser: a",
        [(S, "y"), (U, "a")],
        None,
    ),
    "all turns, one answer": ({"messages": said((U, "a"), (A, "b"))}, {"turns": "all"}, "a", None, "b"),
    "all turns": (
        {"messages": said(*TRAJECTORY)},
        {"turns": "all"},
        "weather?",
        None,
        "assistant: call weather\n\ntool: rain\n\nassistant: call wind\n\ntool: calm\n\nassistant: Rain, no wind.",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_conversation_is_read_by_role(shape):
    cells, source, instruction, messages, response = SHAPES[shape]
    row = read(cells, source)
    assert row["unreadable"] is None
    assert row["instruction"] == instruction
    assert (row["messages"] and json.loads(row["messages"])) == (messages and said(*messages))
    assert row.get("response") == response


UNREADABLE = {
    "not JSON": ("hello", "not_messages"),
    "no cell": (None, "not_messages"),
    "a number": ("7", "not_messages"),
    "an empty list": ([], "not_messages"),
    "a list of texts": (["a", "b"], "not_messages"),
    "another role": (said(("narrator", "a")), "unknown_role"),
    "no role": ([{"content": "a"}], "unknown_role"),
    "an image": ([{"role": U, "content": [{"type": "image", "url": "x"}]}], "not_a_text"),
    "a number as content": ([{"role": U, "content": 7}], "not_a_text"),
    "structured tool calls": ([*said((U, "a")), {"role": A, "content": "", "tool_calls": [{}]}], "tool_calls"),
    "an empty turn": (said((U, "a"), (A, " ")), "empty_turn"),
    "no user": (said((S, "x"), (A, "b")), "no_user_turn"),
}


@pytest.mark.parametrize("shape", UNREADABLE)
def test_what_is_no_conversation_has_a_reason(shape):
    cell, reason = UNREADABLE[shape]
    row = read({"messages": cell})
    assert row["unreadable"] == reason
    assert row["instruction"] is None and row["messages"] is None and row["response"] is None


def conversation(turns, at):
    """A row whose answer begins at a message."""
    answer = said(*turns[at:])
    return {
        "instruction": "its text",
        "messages": json.dumps(said(*turns[:at])),
        "response": answer[0]["content"],
        "turns": json.dumps(answer) if len(answer) > 1 else None,
        "finish_reason": "stop",
    }


CASES = [
    (CHAT, THREE_TURNS, 6),
    (CHAT, THREE_TURNS, 2),
    (CHAT, TRAJECTORY, 1),
    (PLAIN, TRAJECTORY, 1),
    (PLAIN, THREE_TURNS, 2),
]


@pytest.mark.parametrize(("template", "turns", "at"), CASES)
def test_the_turns_are_the_rendered_conversation_and_labels_are_on_the_assistant_alone(template, turns, at):
    chat = Chat(byte_tokenizer(template))
    found = chat.turns(conversation(turns, at))
    whole = chat.tokenizer.apply_chat_template(said(*turns), return_dict=False)
    assert [token for turn in found for part in turn for token in part] == whole
    texts = [chat.tokenizer.decode(text) for _, text, _ in found]
    assert texts == [content for role, content in turns[at:] if role == A]
    assert all(end == chat.end for _, _, end in found)


@pytest.mark.parametrize(("template", "turns", "at"), CASES)
def test_likelihood_and_labels_of_every_turn_equal_a_direct_computation(tiny, template, turns, at):
    chat, row = Chat(byte_tokenizer(template)), conversation(turns, at)
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    (got,) = score_rows(chat, model, [row], max_length=512, batch_tokens=500)
    nll, rank, end_nll, ids, labels = [], [], [], [], []
    for context, text, end in chat.turns(row):
        scores = direct_scores(model, ids + context, text + end)
        nll, rank, end_nll = (
            nll + scores[0][: len(text)],
            rank + scores[1][: len(text)],
            end_nll + scores[0][len(text) :],
        )
        ids, labels = ids + context + text + end, labels + [-100] * len(context) + text + end
    assert (got["n_tokens"], got["end_n_tokens"]) == (len(nll), len(end_nll))
    assert got["nll"] == pytest.approx(sum(nll), rel=1e-5) and got["end_nll"] == pytest.approx(sum(end_nll), rel=1e-5)
    assert got["rank_sum"] == sum(rank)
    (example,), counts = encode_examples(chat, pl.DataFrame([row | {"reason": None}]), max_length=512)
    assert example == {"input_ids": ids, "labels": labels} and counts["n_examples"] == 1


def test_a_row_of_many_turns_does_not_change_the_others_of_its_batch(tiny):
    chat, model = Chat(byte_tokenizer(CHAT)), AutoModelForCausalLM.from_pretrained(tiny).eval()
    rows = [conversation(turns, at) for _, turns, at in CASES[:3]]
    rows.append({"instruction": "Add 1 and 1", "response": "2", "finish_reason": "length"})
    alone = [score_rows(chat, model, [row], 512, 500)[0]["nll"] for row in rows]
    assert [row["nll"] for row in score_rows(chat, model, rows, 512, 4000)] == pytest.approx(alone, rel=1e-5)


def test_a_conversation_longer_than_max_length_keeps_its_first_turns():
    chat = Chat(byte_tokenizer(CHAT))
    row = conversation(TRAJECTORY, 1)
    ends = list(accumulate(sum(map(len, turn)) for turn in chat.turns(row)))
    frame = pl.DataFrame([row | {"reason": None}])
    (example,), counts = encode_examples(chat, frame, max_length=ends[0] + 2)
    assert len(example["labels"]) == ends[0] + 2 and example["labels"][-2:] == [-100, -100]
    assert counts["n_truncated"] == 1
    nothing, counts = encode_examples(chat, frame, max_length=len(chat.turns(row)[0][0]))
    assert nothing == [] and counts["n_dropped_prompt_fills_max_length"] == 1


def test_a_template_that_rewrites_earlier_turns_is_a_reason_of_the_row():
    forgetful = "{% for m in messages %}{% if m.role != 'assistant' or loop.last %}<|{{ m.role }}|>{{ m.content }}"
    forgetful += "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    chat = Chat(byte_tokenizer(forgetful))
    assert len(chat.turns(conversation(THREE_TURNS, 6))) == 1
    with pytest.raises(Unrenderable, match="in another way once other turns follow"):
        chat.turns(conversation(THREE_TURNS, 2))


BY_POSITION = {  # a path by position in [system, user, assistant, user, assistant]: the error, if it is one
    "instruction": {0: "instruction is a message of the role system in 2 rows", 1: None, 2: "the role assistant in 2"},
    "response": {1: "response is a message of the role user in 2 rows", 2: None, 4: None},
}


@pytest.mark.parametrize(("name", "at"), [(name, at) for name, found in BY_POSITION.items() for at in found])
@pytest.mark.parametrize("shape", [said, sharegpt])
def test_a_message_of_another_role_is_not_taken_by_its_position(tmp_path, name, at, shape):
    turns = shape((S, "x"), (U, "a"), (A, "b"), (U, "c"), (A, "d"))
    (tmp_path / "a.jsonl").write_text(2 * (json.dumps({"chat": turns}) + "\n"), encoding="utf-8")
    field = "content" if shape is said else "value"
    source = {"path": str(tmp_path / "a.jsonl"), "columns": {name: ["chat", at, field]}}
    if problem := BY_POSITION[name][at]:
        with pytest.raises(SystemExit, match=f"{problem}.*name the whole list of messages under `messages`"):
            read_texts(source)
    else:
        assert read_texts(source)[name].to_list() == 2 * [turns[at][field]]


@pytest.mark.parametrize("name", ["instruction", "response"])
def test_a_conversation_is_not_taken_as_a_text(name):
    with pytest.raises(SystemExit, match=f"x.jsonl: the column of {name} has conversations: name it under `messages`"):
        read({"id": "1", name: said((U, "a"), (A, "b"))})
    assert (
        with_conversations(pl.DataFrame({name: ["[{1, 2}]", "[1]"]}), {"path": "x", "columns": {name: name}}).height
        == 2
    )
