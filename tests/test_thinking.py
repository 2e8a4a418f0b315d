"""Where thinking ends and what the answer is, in the forms in which models and servers write it."""

import json

import polars as pl
import pytest

from scripts.judgments.judge_outputs import read_verdict, shaped
from scripts.ranking.thinking_shares import ADVICE, thinking_shares, with_thinking_shares
from scripts.tables.reasoning import BUDGET, with_reasoning
from scripts.tables.thinking import Parts, after_thinking, begins_inside, divide, tag_at_the_end, with_thinking

FINAL = "<|start|>assistant<|channel|>final<|message|>"
# text: thinking (None: there is none), answer (None: the thinking has no end)
TEXTS = {
    "no thinking": ("It is 7.", None, "It is 7."),
    "white space of an answer is kept": ("  x\n", None, "  x\n"),
    "DeepSeek, Qwen": ("<think>\n3 and 4 are 7\n</think>\n\nIt is 7.", "3 and 4 are 7", "It is 7."),
    "in one line": ("<think>3+4</think> 7", "3+4", "7"),
    "upper case": ("<THINK>hm</Think>\n7", "hm", "7"),
    "white space before it": ("\n\n <think>hm</think>\n7", "hm", "7"),
    "thinking": ("<thinking>hm</thinking>\n\n7", "hm", "7"),
    "Seed-OSS": ("<seed:think>hm</seed:think>7", "hm", "7"),
    "Magistral": ("[THINK]hm[/THINK]7", "hm", "7"),
    "Kimi": ("◁think▷hm◁/think▷7", "hm", "7"),
    "OpenThoughts": ("<|begin_of_thought|>\n\nhm\n\n<|end_of_thought|>\n\n7", "hm", "7"),
    "no thoughts, Qwen3": ("<think>\n\n</think>\n\n7", None, "7"),
    "two parts": ("<think>a</think>\n<think>b</think>\n7", "a\n\nb", "7"),
    "code after it": ("<think>hm</think>\n\n    return x", "hm", "    return x"),
    "prefilled": ("3 and 4 are 7\n</think>\n\nIt is 7.", "3 and 4 are 7", "It is 7."),
    "prefilled, no thoughts": ("\n</think>\n\n7", None, "7"),
    "prefilled, in a line": ("hm</think>\n7", "hm", "7"),
    "cut": ("<think>\n3 and", "3 and", None),
    "cut at once": ("<think>", None, None),
    "cut in a second part": ("<think>a</think><think>b", "a\n\nb", None),
    "closed by another tag": ("<think>a</thinking>b", "a</thinking>b", None),
    "nothing after it": ("<think>hm</think>\n\n", "hm", ""),
    "Harmony": (f"<|channel|>analysis<|message|>hm<|end|>{FINAL}7<|return|>", "hm", "7"),
    "Harmony without its end": (f"<|channel|>analysis<|message|>hm<|end|>{FINAL}7", "hm", "7"),
    "Harmony, only an answer": ("<|channel|>final<|message|>7<|return|>", None, "7"),
    "Harmony with a preamble": (
        f"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>First<|end|>{FINAL}7",
        "hm\n\nFirst",
        "7",
    ),
    "Harmony, cut": ("<|channel|>analysis<|message|>hm and", "hm and", None),
    "Harmony, cut in its head": ("<|channel|>analysis", None, None),
    "Harmony, only a call": (
        '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>',
        '{"a": 1}',
        None,
    ),
    "about the tags": (
        "Write <think> before and </think> after it.",
        None,
        "Write <think> before and </think> after it.",
    ),
    "about the closing tag": ("Put `</think>` behind it.", None, "Put `</think>` behind it."),
    "code with both tags": ("```\n<think>\nhm\n</think>\n```", None, "```\n<think>\nhm\n</think>\n```"),
    "another tag": ("<answer>7</answer>", None, "<answer>7</answer>"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_thinking_and_answer_of_a_text(name):
    text, thinking, answer = TEXTS[name]
    assert divide(text) == Parts(thinking, answer)
    assert begins_inside(text) == name.startswith("prefilled")


def test_a_text_in_the_one_form_is_read_as_what_it_was_made_of():
    for text, _, answer in TEXTS.values():
        if (parts := divide(text)).answer is not None and answer:
            assert divide(with_thinking(parts)) == parts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think>b<think>c</think>d", "d"),
        ("<think>a</think>b<think>c", None),
        ("Well: <think>a</think> b", " b"),
        (f"<|channel|>analysis<|message|>[[A>B]]<|end|>{FINAL}[[B>A]]", "[[B>A]]"),
    ],
)
def test_a_verdict_is_read_behind_all_thinking(text, answer):
    assert after_thinking(text) == answer


@pytest.mark.parametrize(
    ("prompt", "tag"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<|Assistant|><think>", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>"),
        ("Explain <think>.<|im_end|>\n<|im_start|>assistant\n", ""),
    ],
)
def test_a_prompt_that_ends_inside_the_thinking_is_known(prompt, tag):
    assert tag_at_the_end(prompt) == tag


def teacher(**columns):
    n = len(columns["response"])
    empty = {"finish_reason": "stop", "reason": None, "n_tokens": 100, "reasoning": None, "turns": None}
    types = {"reason": pl.String, "reasoning": pl.String, "n_tokens": pl.Int64, "turns": pl.String}
    values = {name: columns.get(name, [value] * n) for name, value in empty.items()}
    types |= dict.fromkeys(("response", "finish_reason"), pl.String)
    return pl.DataFrame({"response": columns["response"]} | values, schema_overrides=types)


BOTH, LONG = "<think>\nhm\n</think>\n\n7", "<think>\n" + "a" * 60
RESPONSES = {"response": [BOTH, LONG, "7", "It is", None], "reasoning": [None, None, "a" * 3, None, None]}
RESPONSES |= {"finish_reason": ["stop", "length", "stop", "length", None]}
RESPONSES |= {"reason": [None, None, None, None, "prompt_over_long"]}


@pytest.mark.parametrize(
    ("mode", "texts", "beside"),
    [
        ("strip", ["7", None, "7", "It is", None], [None] * 5),
        ("keep", [BOTH, None, BOTH.replace("hm", "aaa"), "It is", None], [None] * 5),
        ("separate", ["7", None, "7", "It is", None], ["hm", None, "aaa", None, None]),
    ],
)
def test_thinking_in_a_text_and_beside_it_becomes_the_same(mode, texts, beside):
    rows = with_reasoning(teacher(**RESPONSES), mode)
    assert rows["response"].to_list() == texts and rows["reasoning"].to_list() == beside
    assert rows["reason"].to_list() == [None, "thinking_used_the_budget", None, None, "prompt_over_long"]
    # shares of the characters: hm of hm7, everything, aaa of aaa7
    assert rows["n_thinking_tokens"].to_list() == [67, 100, 75, None, None]


@pytest.mark.parametrize("mode", ["strip", "keep", "separate"])
def test_rows_without_thinking_stay_as_they_are(mode):
    texts = ["", " x ", "Write <think> and </think>.", "`</think>` <think>", "\ufffd", None]
    before = teacher(response=texts, reason=["empty", None, None, None, "undecodable", "refused"])
    after = with_reasoning(before, mode)
    assert after.select(before.columns).equals(before) and after["n_thinking_tokens"].null_count() == len(texts)


def test_known_tokens_count_and_broken_characters_only_where_they_are_used():
    rows = teacher(response=["<think>\ufffd</think>7", "<think>a</think>\ufffd"], reason=["undecodable"] * 2)
    rows = rows.with_columns(n_thinking_tokens=pl.Series([9, 0]))
    stripped, kept = with_reasoning(rows, "strip"), with_reasoning(rows, "keep")
    assert stripped["reason"].to_list() == [None, "undecodable"] and kept["reason"].to_list() == ["undecodable"] * 2
    assert stripped["n_thinking_tokens"].to_list() == [9, 0]


@pytest.mark.parametrize(
    ("finish_reason", "reason", "expected"),
    [("length", None, "thinking_used_the_budget"), ("stop", None, "empty"), (None, "empty", "empty")],
)
def test_thinking_with_nothing_behind_it_is_no_answer(finish_reason, reason, expected):
    texts = [None if reason else "<think>hm</think>\n"]
    rows = with_reasoning(teacher(response=texts, finish_reason=[finish_reason], reason=[reason]), "keep")
    assert rows.select("response", "reason").rows() == [(None, expected)]


def test_a_table_in_which_a_server_or_data_set_had_only_thinking_says_so():
    rows = teacher(response=[None], reasoning=["hm"], reason=["empty"])
    assert with_reasoning(rows, "strip")["reason"].to_list() == ["thinking_used_the_budget"]


def test_where_most_texts_begin_inside_the_thinking_one_without_a_tag_was_cut_in_it():
    texts = [*["hm\n</think>\n\n7"] * 3, "hm and", "<think>a</think>b"]
    assert with_reasoning(teacher(response=texts), "strip")["response"].to_list() == ["7", "7", "7", None, "b"]
    texts = ["hm\n</think>\n\n7", "an answer", "another"]
    assert with_reasoning(teacher(response=texts), "strip")["response"].to_list() == ["7", "an answer", "another"]


def test_each_message_of_a_conversation_has_its_own_thinking():
    turns = [{"role": "assistant", "content": "<think>a</think>b"}, {"role": "user", "content": "<think>"}]
    turns += [{"role": "assistant", "content": "d", "reasoning_content": "c"}]
    rows = teacher(response=["b\n\n<think>\n\nd"], turns=[json.dumps(turns)])
    contents = {}
    for mode in ("strip", "keep", "separate"):
        row = with_reasoning(rows, mode).row(0, named=True)
        contents[mode] = [(m["content"], m.get("reasoning_content")) for m in json.loads(row["turns"])]
        assert row["reasoning"] is None and "assistant: " in row["response"]
    assert contents["strip"] == [("b", None), ("<think>", None), ("d", None)]
    kept = [BOTH.replace("hm", thinking).replace("7", text) for thinking, text in ("ab", "cd")]
    assert contents["keep"] == [(kept[0], None), ("<think>", None), (kept[1], None)]
    assert contents["separate"] == [("b", "a"), ("<think>", None), ("d", "c")]


def test_the_table_of_teachers_says_how_much_they_think_and_how_often_they_are_cut_in_it(tmp_path):
    values = {"thinks": ([None, BUDGET, None, BUDGET], [30, 100, 50, None]), "plain": ([None] * 4, None)}
    values |= {"imported": ([BUDGET, None, None, None], None)}
    for name, (reasons, tokens) in values.items():
        frame = pl.DataFrame({"teacher": name, "reason": reasons}, schema_overrides={"reason": pl.String})
        frame = frame.with_columns(n_thinking_tokens=pl.Series(tokens, dtype=pl.Int64)) if tokens else frame
        frame.write_parquet(tmp_path / f"{name}.parquet")
    shares = thinking_shares([tmp_path / f"{name}.parquet" for name in values])
    assert shares.rows() == [("thinks", 60.0, 0.5), ("imported", None, 0.25)]
    ranked = pl.DataFrame({"teacher": [*values], "note": ["first", "second", None]})
    notes = with_thinking_shares(ranked, shares)["note"].to_list()
    assert notes == [f"first; {ADVICE}", "second", ADVICE]
    assert with_thinking_shares(ranked, shares.clear()).equals(ranked)


@pytest.mark.parametrize("mode", ["strip", "keep", "separate"])
def test_no_mode_changes_the_verdict_of_a_judge(mode):
    thinking, answer = "perhaps [[A>>B]]", "[[B>A]]"
    inline = {"text": f"{thinking}\n</think>\n\n{answer}", "reasoning": None, "cut": False, "second_text": None}
    for output in (inline, inline | {"text": answer, "reasoning": thinking}):
        got = shaped(output, mode)
        assert read_verdict(got) == "B>A" and got["reasoning"] == (thinking if mode == "separate" else None)
        assert got["text"] == (f"<think>\n{thinking}\n</think>\n\n{answer}" if mode == "keep" else answer)
    unended = inline | {"text": f"<think>{thinking}"}
    assert shaped(unended, mode) == unended and read_verdict(unended) is None
