"""Prompts of several turns: read from tables, answered one turn after the other, resumed, and planned."""

import json
from functools import partial

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from costly_outputs import run
from scripts.answers.answer_turns import answer_turns, every_turn
from scripts.checks.check_sources import look
from scripts.checks.checked_sources import sources_to_check
from scripts.engines import engine_transformers
from scripts.engines.generation import answer_instructions, loader
from scripts.instructions.prepare_instructions import normalize
from scripts.models.folder import publish_failure
from scripts.models.tokenizers import load_tokenizer
from scripts.tables.sources import read_texts
from scripts.tables.user_turns import references_of, with_user_turns
from test_generation import instructions, spec

ROWS = [
    {"question_id": 81, "turns": ["Write a post.", "Begin each\r\nsentence with A."], "reference": []},
    {"question_id": 101, "turns": ["Where are you?", "And now?"], "reference": ["Second.", "Uncertain."]},
    {"question_id": 102, "turns": ["Only one turn."], "reference": "Yes."},
    {"question_id": 103, "turns": "Write a post.", "reference": None},
    {"question_id": 104, "turns": ["A", "B"], "reference": "Yes."},
    {"question_id": 105, "turns": ["A", "B"], "reference": ["1", "2", "3"]},
    {"question_id": 106, "turns": [], "reference": None},
    {"question_id": 107, "turns": ["A", " "], "reference": None},
    {"question_id": 108, "turns": ["A", 7], "reference": None},
    {"question_id": 109, "turns": ["C", "D"], "reference": ["", "only of the second"]},
]
COLUMNS = {"id": "question_id", "user_turns": "turns", "reference": "reference"}


@pytest.fixture
def source(tmp_path):
    text = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "question.jsonl").write_text(text, encoding="utf-8")
    return {"path": str(tmp_path / "question.jsonl"), "columns": COLUMNS}


def test_the_turns_of_mt_bench_are_read_and_other_rows_have_a_reason(source):
    rows = normalize(with_user_turns(read_texts(source), source), max_characters=1000)
    reasons = dict(rows.select("id", "reason").rows())
    assert reasons == {
        **dict.fromkeys(["81", "101", "102", "109"]),
        **dict.fromkeys(["103", "106", "108"], "not_turns"),
        **dict.fromkeys(["104", "105"], "not_references"),
        "107": "empty_turn",
    }
    usable = {row["id"]: row for row in rows.filter(pl.col("reason").is_null()).to_dicts()}
    assert {name: row["n_turns"] for name, row in usable.items()} == {"81": 2, "101": 2, "102": 1, "109": 2}
    assert usable["81"]["instruction"] == "user: Write a post.\n\nuser: Begin each\nsentence with A."
    assert usable["102"]["instruction"] == "Only one turn." and usable["102"]["messages"] is None
    references = {name: references_of(row) for name, row in usable.items()}
    assert references["81"] == [] and references["101"] == ["Second.", "Uncertain."]
    assert references["102"] == ["Yes."] and references["109"] == ["", "only of the second"]
    facts, problem = look(source | {"needed": ["instruction"]})
    assert problem is None and facts["usable"] >= 4


def test_a_turn_under_ap_that_no_prompt_has_is_found_before_anything_is_computed(source):
    config = {"compare": "paired", "instructions": {}, "teachers": {}, "benchmarks": {"b": {"prompts": source}}}
    config["ap"] = ["b.grade", "b.turn_2", "b.turn_3", "c.wr"]
    checked = sources_to_check(config)["benchmarks.b.prompts"]
    _, problem = look(checked)
    assert problem == f"{source['path']}: its prompts have at most 2 turns, and `ap` names turn_3"
    assert look(checked | {"turn": 2})[1] is None


def test_a_system_prompt_is_before_the_first_turn_of_all(source):
    system = source | {"system": "Be brief."}
    row = with_user_turns(read_texts(system), system).row(0, named=True)
    roles = [message["role"] for message in json.loads(row["messages"])]
    assert roles == ["system", "user", "user"] and row["n_turns"] == 2


PROMPTS = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "instruction": ["user: Say a\n\nuser: Again", "Say b", "user: Be kind\n\nuser: Say c\n\nuser: Again"],
        "messages": [
            json.dumps([{"role": "user", "content": text} for text in ("Say a", "Again")]),
            None,
            json.dumps([{"role": role, "content": text} for role, text in
                        (("system", "Be kind"), ("user", "Say c"), ("user", "Again"))]),
        ],
        "n_turns": [2, 1, 2],
    }
)  # fmt: skip


def test_the_second_turn_is_asked_with_the_first_answer_in_the_conversation(tiny, tmp_path):
    """The ids that the engine continues are those of the conversation written by hand."""
    entry = spec(tiny)
    load = loader(entry, {})
    answer = partial(answer_instructions, spec=entry, store_folder=tmp_path / "rows", load=load)
    got = answer_turns(PROMPTS, answer)
    assert got.select("id", "turn").rows() == [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("c", 2)]
    assert every_turn(PROMPTS).equals(got.select("id", "turn"))
    first = got.filter(id="a", turn=1)["text"].item()
    tokenizer, model = load_tokenizer(str(tiny)), AutoModelForCausalLM.from_pretrained(tiny)
    by_hand = f"<|bos|>Question: Say a\nAnswer:\n{first}<|end|>Question: Again\nAnswer:\n"
    ids = tokenizer(by_hand, add_special_tokens=False, return_tensors="pt").input_ids
    second = got.filter(id="a", turn=2).row(0, named=True)
    assert ids.shape[1] == second["n_prompt_tokens"]
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert second["text"] == tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
    others = ("Say a", "Be kind\n\n" + "Question: Say c")  # the plain first turn, and one with a system prompt
    lengths = [len(tokenizer(f"<|bos|>{text}\nAnswer:\n", add_special_tokens=False).input_ids) for text in others]
    lengths[0] += len("Question: ")
    assert got.filter(turn=1)["n_prompt_tokens"].to_list()[::2] == lengths


def test_a_finished_turn_is_found_and_a_turn_behind_one_without_an_answer_has_a_reason(tiny, tmp_path, monkeypatch):
    entry = spec(tiny)
    load = loader(entry, {})
    answer = partial(answer_instructions, spec=entry, store_folder=tmp_path / "rows", load=load)
    whole = answer_turns(PROMPTS, answer)
    monkeypatch.setattr(engine_transformers, "load", lambda spec: pytest.fail("a model is loaded again"))
    again = partial(answer_instructions, spec=entry, store_folder=tmp_path / "rows", load=loader(entry, {}))
    assert answer_turns(PROMPTS, again).equals(whole)

    def without_first_of_a(asked):
        return answer(asked).with_columns(
            pl.when(id="a").then(None).otherwise("text").alias("text"),
            pl.when(id="a").then(pl.lit("empty")).otherwise("reason").alias("reason"),
        )

    got = answer_turns(PROMPTS, without_first_of_a)
    assert got.filter(id="a")["reason"].to_list() == ["empty", "earlier_turn_empty"]
    assert got.filter(pl.col("id") != "a").equals(whole.filter(pl.col("id") != "a"))


def test_each_turn_of_an_untrained_pair_has_its_reason(tmp_path):
    publish_failure("loss nan at step 7", tmp_path / "model")
    PROMPTS.write_parquet(tmp_path / "prompts.parquet")
    given = {"benchmarks": "m", "base": "b", "teacher": "t", "samplings": {}, "stores": tmp_path / "rows"}
    given |= {"model": {"engine": "transformers", "model": str(tmp_path / "model")}, "outputs": tmp_path / "a.parquet"}
    run("scripts.answers.answer_benchmark", prompts=tmp_path / "prompts.parquet", **given)
    rows = pl.read_parquet(tmp_path / "a.parquet").select("id", "turn", "answer", "reason").rows()
    assert rows == [(*turn, None, "not_trained") for turn in every_turn(PROMPTS).rows()]


def test_prompts_without_turns_are_answered_as_ever(tiny, tmp_path):
    asked = instructions(["Say x", "Say y"])
    called = []
    assert answer_turns(asked, lambda rows: called.append(rows) or rows) is asked and called == [asked]
    assert every_turn(asked).columns == ["id"]
