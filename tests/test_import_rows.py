"""Which row of an imported table belongs to which instruction, and what an import without a usable row says."""

import json

import polars as pl
import pytest

from costly_outputs import run
from scripts.responses.finish_reasons import KNOWN
from scripts.tables.files import read_table
from scripts.tables.matching import WAY_OUT

ALL = {"id": "id", "instruction": "q", "response": "a"}


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Imports rows for the instructions (id, text); returns id and response, or the reason why there is none."""
    monkeypatch.chdir(tmp_path)

    def import_rows(instructions, rows, columns=ALL, script="responses", candidates=1, **more):
        pl.DataFrame(instructions, ["id", "instruction"], orient="row").write_parquet("i.parquet")
        with open("t.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        spec = {"path": "t.jsonl", "columns": columns, "match": {}, "candidates": candidates, **more}
        if script == "baseline":
            names = {"benchmark": "b", "prompts": "i.parquet", "output": "r.parquet"}
            run("scripts.answers.import_baseline", spec=spec, **names)
            return read_table("r.parquet")
        if script == "rewards":
            names = {"teacher": "t", "reward_model": "r", "responses": "r.parquet", "output": "rewards.parquet"}
            run("scripts.rewards.import_rewards", spec=spec, instructions="i.parquet", **names)
            return read_table("rewards.parquet")
        run("scripts.responses.import_responses", teacher="t", spec=spec, instructions="i.parquet", output="r.parquet")
        return read_table("r.parquet")

    return import_rows


def found(table) -> dict:
    return dict(table.select("id", pl.coalesce("reason", "response")).iter_rows())


TWO = [("1", "one"), ("2", "two")]


def test_rows_with_ids_that_no_instruction_has_are_matched_by_text(imported):
    hashed = [("6b86b273ff34fce1", "one"), ("d4735e3a265e16ee", "two")]  # no id column in the source
    rows = [{"id": 7, "q": "two ", "a": "B"}, {"id": 8, "q": "one", "a": "A"}]
    assert found(imported(hashed, rows)) == {"6b86b273ff34fce1": "A", "d4735e3a265e16ee": "B"}


def test_a_row_whose_id_is_null_or_empty_is_matched_by_text_among_rows_with_ids(imported):
    rows = [{"id": None, "q": "two", "a": "B"}, {"id": "1", "q": "one", "a": "A"}, {"id": "", "q": "three", "a": "C"}]
    assert found(imported([*TWO, ("3", "three")], rows)) == {"1": "A", "2": "B", "3": "C"}


def test_a_row_with_the_id_of_an_instruction_comes_before_one_with_its_text(imported, capsys):
    rows = [{"id": "x", "q": "one", "a": "by text"}, {"id": "1", "q": "one", "a": "by id"}, {"id": "2", "a": "B"}]
    assert found(imported(TWO, rows)) == {"1": "by id", "2": "B"}
    assert "rows left out because earlier rows belong to the same instruction: 1" in capsys.readouterr().out


def test_of_several_rows_of_an_instruction_responses_and_rewards_are_those_of_the_first(imported):
    rows = [{"id": i, "q": "one", "a": f"A{i}", "r": i} for i in ("x", 1, 1)] + [{"id": 2, "a": "B", "r": 9}]
    assert found(imported(TWO, rows)) == {"1": "A1", "2": "B"}
    columns = {"id": "id", "instruction": "q", "reward": "r"}
    rewards = imported(TWO, [*({**row, "r": n} for n, row in enumerate(rows))], columns, "rewards")
    assert dict(rewards.select("id", "reward").iter_rows()) == {"1": 1.0, "2": 3.0}


SAMPLES = [
    {"q": "one", "a": "A0", "r": 0},
    {"id": 2, "a": "B0", "r": 5},
    {"id": 1, "q": "one", "a": "A1", "r": 1},
    {"id": 1, "a": None, "r": 2},
    {"id": 1, "a": "A3", "r": 3},
    {"id": 1, "a": "A4", "r": 4},
]


def test_several_samples_of_an_instruction_are_the_candidates_of_a_pool_with_their_own_rewards(imported, capsys):
    three = [*TWO, ("3", "three")]
    table = imported(three, SAMPLES, candidates=4)
    found = [("1", 0, "A1"), ("1", 1, "no_response"), ("1", 2, "A3"), ("1", 3, "A4"), ("2", 0, "B0")]
    found.append(("3", 0, "not_in_import"))
    assert table.select("id", "candidate", pl.coalesce("reason", "response")).rows() == found
    assert "rows left out because earlier rows belong to the same instruction: 1" in capsys.readouterr().out
    rewards = imported(three, SAMPLES, {"id": "id", "instruction": "q", "reward": "r"}, "rewards", candidates=4)
    assert rewards.drop_nulls("reward").select("id", "candidate", "reward").rows() == [
        ("1", 0, 1.0),
        ("1", 2, 3.0),
        ("1", 3, 4.0),
        ("2", 0, 5.0),
    ]


def test_a_selection_takes_the_best_of_the_imported_samples(imported):
    imported(TWO, SAMPLES, candidates=9)
    imported(TWO, SAMPLES, {"id": "id", "instruction": "q", "reward": "r"}, "rewards", candidates=9)
    names = {"responses": "r.parquet", "rewards": "rewards.parquet", "output": "best.parquet"}
    run("scripts.responses.select_responses", teacher="s", select="best", seed=0, **names)
    assert found(read_table("best.parquet")) == {"1": "A4", "2": "B0"}


def test_several_different_responses_are_an_error_with_the_ways_out_unless_candidates_says_what_they_are(imported):
    line = "t.jsonl: instructions with several different responses: 1, with up to 4 each: write `candidates: 4` beside"
    with pytest.raises(SystemExit, match=line):
        imported(TWO, SAMPLES, candidates=None)
    same = [{"id": 1, "a": "A"}, {"id": 1, "a": "A"}, {"id": 1, "a": None}, {"id": 2, "a": "B"}]
    assert found(imported(TWO, same, {"id": "id", "response": "a"}, candidates=None)) == {"1": "A", "2": "B"}
    assert found(imported(TWO, SAMPLES, candidates=1)) == {"1": "A1", "2": "B0"}


def test_an_id_with_another_instruction_is_an_error_with_the_way_out(imported):
    with pytest.raises(
        SystemExit, match=r"ids with a different instruction in the table \(1\): \['2'\].*leave out the"
    ):
        imported(TWO, [{"id": 1, "q": "one", "a": "A"}, {"id": 2, "q": "other", "a": "B"}])


@pytest.mark.parametrize("script", ["responses", "baseline"])
@pytest.mark.parametrize(
    "rows, columns, line",
    [
        (
            [{"id": "x", "q": "three", "a": "C"}],
            ALL,
            "t.jsonl: none of 2 instructions has a usable response (not_in_import: 2); its first row has id 'x' and "
            "instruction 'three', and the first instruction id '1' and instruction 'one'",
        ),
        (
            [{"id": "x", "a": "C"}],
            {"id": "id", "response": "a"},
            "t.jsonl: none of 2 instructions has a usable response (not_in_import: 2); its first row has id 'x', and "
            "the first instruction id '1': name its column of the instruction to match by text",
        ),
        ([], ALL, "t.jsonl: none of 2 instructions has a usable response (not_in_import: 2); the table has no row"),
        (
            [{"id": 1, "q": "one", "a": None}, {"id": 2, "q": "two", "a": " "}],
            ALL,
            "t.jsonl: none of 2 instructions has a usable response (no_response: 1, empty: 1)",
        ),
    ],
)
def test_an_import_without_a_usable_row_is_an_error_with_the_reasons(imported, script, rows, columns, line):
    with pytest.raises(SystemExit) as end:
        imported(TWO, rows, columns, script)
    if "no_response" in line:
        assert sorted(end.value.code) == sorted(line)  # reasons with equal numbers are in any order
    else:
        unpaired = f"; {WAY_OUT}" if script == "responses" else ""  # a baseline has to answer the prompts
        assert end.value.code == line + unpaired


def test_a_few_usable_rows_are_a_line_with_the_reasons(imported, capsys):
    imported([*TWO, ("3", "three")], [{"id": 1, "q": "one", "a": "A"}])
    assert "t: 1 of 3 responses are usable; not_in_import: 2\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "rewards, shown", [(["[1.0]"], "'[1.0]'"), (["2024-01-01"], "'2024-01-01'"), ([None], "nothing")]
)
def test_rewards_that_are_no_numbers_are_an_error(imported, rewards, shown):
    rows = [{"id": 1, "a": "A", "r": rewards[0]}, {"id": 2, "a": "B"}]
    imported(TWO, rows, {"id": "id", "response": "a"})
    with pytest.raises(SystemExit) as end:
        imported(TWO, rows, {"id": "id", "reward": "r"}, "rewards")
    assert end.value.code == f"t.jsonl: no response has a number in the column r, which has {shown}"


def test_finish_reasons_are_understood_in_the_words_of_endpoints(imported, capsys):
    words = ["stop", "STOP", "end_turn", "eos_token", "length", "max_tokens", "MAX_TOKENS", "model_length", None, ""]
    words += ["content_filter", "SAFETY", "paused", "paused"]
    instructions = [(str(i), f"q{i}") for i in range(len(words))]
    rows = [{"id": i, "a": "text", "end": word} for i, word in enumerate(words)]
    table = imported(instructions, rows, {"id": "id", "response": "a", "finish_reason": "end"})
    assert table["finish_reason"].to_list() == ["stop"] * 4 + ["length"] * 4 + [None] * 6
    assert table["reason"].to_list() == [None] * 10 + ["content_filter"] * 2 + [None] * 2
    assert table["response"].to_list() == ["text"] * 10 + [None] * 2 + ["text"] * 2
    line = "finish_reason that is not known, so that the response counts as finished: paused (2)\n"
    assert line in capsys.readouterr().out


def test_every_spelling_has_one_meaning_in_lower_case():
    assert set(KNOWN.values()) == {"stop", "length", "content_filter"} and all(word == word.lower() for word in KNOWN)


THINKING = {
    "in the text": ({"a": "<think>hm</think>\n\nB"}, ALL),
    "in a column": ({"a": "B", "t": "hm"}, ALL | {"reasoning": "t"}),
    "in a message": (
        {"m": [{"role": "user", "content": "two"}, {"role": "assistant", "content": "B", "reasoning_content": "hm"}]},
        {"id": "id", "messages": "m"},
    ),
    "in a part": (
        {"m": [{"role": "user", "content": "two"}, {"role": "assistant", "content": [{"type": "thinking",
         "thinking": "hm"}, {"type": "text", "text": "B"}]}]},
        {"id": "id", "messages": "m"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", THINKING)
def test_published_thinking_becomes_the_same_in_all_its_forms(imported, form):
    row, columns = THINKING[form]
    expected = {"strip": ("B", None), "keep": ("<think>\nhm\n</think>\n\nB", None), "separate": ("B", "hm")}
    for mode in (None, *expected):
        table = imported(
            [("2", "two")], [{"id": "2", "q": "two"} | row], columns, **({"reasoning": mode} if mode else {})
        )
        reasoning = table["reasoning"][0] if "reasoning" in table.columns else None
        assert (table["response"][0], reasoning) == expected[mode or "strip"]


def test_published_thinking_without_an_answer_has_its_reason_and_a_baseline_has_none(imported):
    rows = [{"id": "1", "q": "one", "a": "<think>hm"}, {"id": "2", "q": "two", "a": "<think>hm</think>B"}]
    assert found(imported(TWO, rows)) == {"1": "thinking_used_the_budget", "2": "B"}
    answers = imported(TWO, rows, script="baseline")
    assert answers.select("answer", "reason").rows() == [(None, "thinking_used_the_budget"), ("B", None)]
