"""The number of answers whose ids differ at the seam of prompt and answer, for every base and teacher."""

import json

import polars as pl
import pytest

import real_tokenizers
from conftest import ROOT
from costly_outputs import run
from scripts.models.tokenizers import load_tokenizer
from scripts.report.seams import seams_in_words
from scripts.tables.files import read_csv
from test_tool_calls import talk

PLAIN = str(ROOT / "config/templates/plain.jinja")
PLAIN_ANSWERS = ["Yes", "7", "回答", "It is fine.\n\nReally."]
SPACED = ["\n\nlines", "\n", "  two spaces", "\ttab", " a"]


def responses(folder, teacher, texts, turns=None, reasons=None):
    rows = {"id": [str(i) for i in range(len(texts))], "teacher": teacher, "response": texts, "finish_reason": "stop"}
    nothing = [None] * len(texts)
    frame = pl.DataFrame(rows | {"turns": turns or nothing, "reason": reasons or nothing}, infer_schema_length=None)
    frame.cast({"turns": pl.String, "reason": pl.String}).write_parquet(folder / f"{teacher}.parquet")
    return folder / f"{teacher}.parquet"


def count(folder, bases, pairs, paths):
    ids = [str(i) for i in range(20)]
    pl.DataFrame({"id": ids, "instruction": "Who?"}).write_parquet(folder / "instructions.parquet")
    names = {"instructions": folder / "instructions.parquet", "output": folder / "seams.csv"}
    run("scripts.likelihoods.count_seams", bases=bases, pairs=pairs, responses=paths, **names)
    return read_csv(folder / "seams.csv")


def test_the_counts_are_those_of_the_rendered_conversations(tmp_path, tiny):
    real = str(real_tokenizers.folder_of("qwen2_5"))
    bases = {name: {"model": model, "chat_template": PLAIN} for name, model in {"g": real, "t": str(tiny)}.items()}
    texts = {"plain": PLAIN_ANSWERS, "spaced": SPACED + PLAIN_ANSWERS}
    paths = [responses(tmp_path, teacher, answers) for teacher, answers in texts.items()]
    table = count(tmp_path, bases, ["g/plain", "g/spaced", "t/spaced"], paths)
    assert table.select("base", "teacher", "n", "n_white_space").rows() == [
        ("g", "plain", 4, 0),
        ("g", "spaced", 9, 5),
        ("t", "spaced", 9, 5),
    ]
    tokenizer = load_tokenizer(real, chat_template=PLAIN)
    prompt = [{"role": "user", "content": "Who?"}]
    given = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
    whole = [[*prompt, {"role": "assistant", "content": text}] for text in texts["spaced"]]
    whole = [tokenizer.apply_chat_template(messages, return_dict=False) for messages in whole]
    joined = sum(ids[: len(given)] != given for ids in whole)
    assert 0 < joined < len(SPACED)
    assert table["n_differ"].to_list() == [0, joined, 0]  # a byte joins with nothing


def test_rows_that_are_not_used_do_not_count_and_every_turn_of_a_conversation_does(tmp_path):
    base = {"g": {"model": str(real_tokenizers.folder_of("qwen2_5")), "chat_template": PLAIN}}
    turns = [{"role": "assistant", "content": text} for text in ("Yes", "\n\nlines")]
    turns = json.dumps([turns[0], {"role": "user", "content": "And?"}, turns[1]])
    calls = json.dumps([talk()[2]])  # which this template leaves out
    texts, reasons = ["assistant: Yes", "\n\nlines", "f({})"], [None, "undecodable", None]
    path = responses(tmp_path, "x", texts, [turns, None, calls], reasons)
    assert count(tmp_path, base, ["g/x"], [path]).rows() == [("g", "x", 2, 1, 1)]


@pytest.mark.parametrize(
    ("differ", "sentence"),
    [
        ([0, 0, 0], "For every answer, the ids of prompt and answer are those of the whole conversation."),
        ([1, 0, 2], "joins with the prompt: z 2 of 9, x 1 of 9."),
    ],
)
def test_the_page_names_the_teachers_with_such_answers(differ, sentence):
    table = pl.DataFrame({"base": "b", "teacher": ["x", "y", "z"], "n": 9, "n_white_space": 3, "n_differ": differ})
    assert seams_in_words(table).endswith(sentence)
