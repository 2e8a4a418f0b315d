"""Instructions: a row that is not kept has a reason, samples are nested, ids are stable."""

import json
import os
import re
import subprocess
import sys

import polars as pl
import pytest

SPEC = {"columns": {"instruction": "prompt"}, "n": None, "seed": 0, "max_characters": 50}


def prepare(tmp_path, content, spec=(), name="mine.jsonl"):
    """Run the script on a file with that content; the process and, if it succeeded, the rows kept and set aside."""
    source = tmp_path / name
    spec = SPEC | {"path": str(source)} | dict(spec)
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    out, aside = tmp_path / "out.parquet", tmp_path / "aside.parquet"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "scripts.instructions.prepare_instructions",
            "--spec",
            json.dumps(spec),
            "--output",
            out,
            "--set-aside",
            aside,
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return done, None, None
    return done, pl.read_parquet(out), pl.read_parquet(aside)


def test_every_row_is_kept_or_set_aside_with_its_reason(tmp_path):
    rows = ["good", " good ", "", "   ", None, "x" * 51, "cut \ufffd", "go\u006fd 2", "a\r\nb"]
    done, kept, aside = prepare(tmp_path, [{"prompt": text} for text in rows])
    assert sorted(kept["instruction"]) == ["a\nb", "good", "good 2"]
    assert dict(aside.select("row", "reason").iter_rows()) == {
        2: "duplicate",
        3: "empty",
        4: "empty",
        5: "not_a_text",
        6: "too_long",
        7: "undecodable",
    }
    assert "9 rows: 3 kept, 0 not sampled, 6 set aside" in done.stdout


def test_prompts_keep_their_raw_text_and_instructions_do_not(tmp_path):
    rows = [{"prompt": text} for text in (" Which?\r\n", "cafe\u0301")]
    _, kept, _ = prepare(tmp_path, rows, {"keep_raw": True})
    assert set(kept.select("instruction", "raw_instruction").rows()) == {
        ("Which?", " Which?\r\n"),
        ("caf\u00e9", "cafe\u0301"),
    }
    _, kept, aside = prepare(tmp_path, rows)
    assert "raw_instruction" not in (*kept.columns, *aside.columns)


def test_a_value_of_a_column_selects_the_rows_of_one_category(tmp_path):
    rows = [{"prompt": f"question {i}", "category": "hard" if i % 3 else "easy"} for i in range(9)]
    _, kept, aside = prepare(tmp_path, rows, {"match": {"category": "easy"}})
    assert set(kept["instruction"]) == {"question 0", "question 3", "question 6"} and not aside.height
    done, *_ = prepare(tmp_path, rows, {"match": {"category": "heavy"}})
    assert "no row has category = heavy; others have" in done.stderr and "Traceback" not in done.stderr


def test_a_larger_sample_keeps_the_rows_of_a_smaller_one_for_any_order_of_the_source(tmp_path):
    rows = [{"prompt": f"question {i}"} for i in range(50)]
    small = prepare(tmp_path, rows, {"n": 10})[1]
    large = prepare(tmp_path, rows[::-1], {"n": 30})[1]
    assert large.head(10)["id"].to_list() == small["id"].to_list()
    assert prepare(tmp_path, rows, {"n": 10, "seed": 1})[1]["id"].to_list() != small["id"].to_list()


def test_without_an_id_column_the_id_is_the_hash_of_the_instruction(tmp_path):
    rows = [{"prompt": "caf\u00e9", "key": 7}]
    assert prepare(tmp_path, rows)[1]["id"].to_list() == ["850f7dc43910ff89"]  # printf 'café' | sha256sum
    assert prepare(tmp_path, [{"prompt": " cafe\u0301\n"}])[1]["id"].to_list() == ["850f7dc43910ff89"]
    columns = {"instruction": "prompt", "id": "key"}
    assert prepare(tmp_path, rows, {"columns": columns})[1]["id"].to_list() == ["7"]


@pytest.mark.fault(6)
def test_an_id_that_two_instructions_have_is_an_error_that_names_it(tmp_path):
    rows = [{"prompt": "one", "key": "a"}, {"prompt": "two", "key": "a"}]
    done, _, _ = prepare(tmp_path, rows, {"columns": {"instruction": "prompt", "id": "key"}})
    assert done.stderr == "ids that several instructions have (1): a\n"


@pytest.mark.fault(8)
def test_a_byte_that_is_not_utf8_is_an_error_with_its_line_number(tmp_path):
    done, _, _ = prepare(tmp_path, b'{"prompt": "fine"}\n{"prompt": "caf\xe9"}\n')
    assert "mine.jsonl, line 2: not UTF-8" in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_column_is_an_error_that_lists_the_existing_columns(tmp_path):
    done, _, _ = prepare(tmp_path, [{"text": "one"}])
    assert done.stderr == f"{tmp_path / 'mine.jsonl'}: no column prompt; it has text\n"


def test_a_broken_file_is_an_error_in_one_line(tmp_path):
    done, _, _ = prepare(tmp_path, '{"prompt": "one"}\n{"prompt": \n')
    assert done.stderr.splitlines()[-1].startswith(str(tmp_path / "mine.jsonl")) and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["mine.csv", "mine.json", "mine.parquet"])
def test_all_formats_give_the_same_rows(tmp_path, name):
    table = pl.DataFrame({"prompt": ["one", "two, or \u2028 three"], "answer": ["1", "23"]})
    write = {"mine.csv": table.write_csv, "mine.json": table.write_json, "mine.parquet": table.write_parquet}
    write[name](tmp_path / name)
    columns = {"instruction": "prompt", "reference": "answer"}
    _, kept, _ = prepare(tmp_path, (tmp_path / name).read_bytes(), {"columns": columns}, name)
    expected = {"one": "1", "two, or \u2028 three": "23"}
    assert dict(kept.select("instruction", "reference").iter_rows()) == expected


@pytest.mark.fault(30)
@pytest.mark.parametrize("file", [None, "main/test.parquet"])
def test_a_dataset_that_cannot_be_reached_is_an_error_in_one_line(tmp_path, file):
    spec = {"dataset": "acme/questions", "file": file, "split": "train", "revision": None, "n": None, "seed": 0}
    spec |= {"columns": {"instruction": "q"}, "max_characters": 9}
    command = [sys.executable, "-m", "scripts.instructions.prepare_instructions", "--spec", json.dumps(spec)]
    command += ["--output", tmp_path / "out.parquet", "--set-aside", tmp_path / "aside.parquet"]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=offline)
    assert done.returncode and "Traceback" not in done.stderr
    assert re.search(r"acme/questions.*: cannot be read: ", done.stderr.splitlines()[-1]), done.stderr


@pytest.mark.fault(8)
def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path):
    _, kept, _ = prepare(tmp_path, "\ufeffprompt\none\n", name="mine.csv")
    assert kept["instruction"].to_list() == ["one"]
