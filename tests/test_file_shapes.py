"""Local files in the shapes that people have: the rows that are kept, those that are set aside, or the error in a line.

Each shape is read as instructions and, if it holds answers, as an import.
"""

import gzip
import json
import os
from typing import NamedTuple

import polars as pl
import pyarrow
import pyarrow.ipc
import pytest

from costly_outputs import run
from scripts.tables.files import read_table
from scripts.tables.json_values import text_of
from scripts.tables.sources import read_texts

PAIR = {"instruction": "q", "response": "a"}
ROWS = [{"q": "one", "a": "1"}, {"q": "two", "a": "2"}]
TWO = {"one": "1", "two": "2"}
QUESTIONS = {"one": None, "two": None}


class Shape(NamedTuple):
    """Files and how they are named in the configuration; then what is read of them."""

    files: dict[str, bytes | str]
    columns: dict
    kept: dict[str, str | None] | str  # instruction to response, None without one; or the error
    aside: dict[int, str] | None = None  # row to reason
    path: str | list | None = None  # the first of the files if left out
    match: dict | None = None
    imported: dict[str, str | None] | None = None  # response or reason, if it is not what `kept` says


def lines(rows, end="\n"):
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)


def parquet(**columns) -> bytes:
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue().to_pybytes()


def arrow(new, **columns) -> bytes:
    buffer, table = pyarrow.BufferOutputStream(), pyarrow.table(columns)
    with new(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue().to_pybytes()


def zstd(data: str) -> bytes:
    buffer = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(buffer, "zstd") as file:
        file.write(data.encode())
    return buffer.getvalue().to_pybytes()


TABLE = {"q": ["one", "two"], "a": ["1", "2"]}
CHAT = [
    {"turns": [{"by": "x", "text": q}, {"by": "m1", "text": a}, {"by": "m2", "text": "no"}]} for q, a in TWO.items()
]
BATCH = [{"custom_id": q, "response": {"body": {"choices": [{"message": {"content": a}}]}}} for q, a in TWO.items()]
FAILED = {"custom_id": "three", "response": None, "error": {"code": "timeout"}}
CONTENT = ["response", "body", "choices", 0, "message", "content"]
LATE = [{"q": f"q{i}", "a": "x"} for i in range(6500)]
LATE[6399] = {"q": 6400, "a": 1.50}

SHAPES = {
    # JSON
    "JSON lines": Shape({"t.jsonl": lines(ROWS)}, PAIR, TWO),
    "JSON lines with CRLF, empty lines and a byte order mark": Shape(
        {"t.jsonl": "\ufeff" + lines(ROWS, "\r\n\r\n")}, PAIR, TWO
    ),
    "JSON lines without a last line feed": Shape({"t.ndjson": lines(ROWS).rstrip()}, PAIR, TWO),
    "JSON lines in a .json file": Shape({"t.json": lines(ROWS)}, PAIR, TWO),
    "a JSON list": Shape({"t.json": json.dumps(ROWS)}, PAIR, TWO),
    "an indented JSON list in a .jsonl file": Shape({"t.jsonl": json.dumps(ROWS, indent=2)}, PAIR, TWO),
    "an object with the rows under data": Shape({"t.json": json.dumps({"version": 1.10, "data": ROWS})}, PAIR, TWO),
    "rows under another name, indented, with more after them": Shape(
        {"t.json": json.dumps({"info": {"n": [1]}, "rows": ROWS, "end": []}, indent=1)}, PAIR, TWO
    ),
    "indented objects one after another": Shape(
        {"t.json": "\n".join(json.dumps(r, indent=1) for r in ROWS)}, PAIR, TWO
    ),
    "a single row with a list of objects": Shape(
        {"t.json": json.dumps(CHAT[0])},
        {"instruction": ["turns", 0, "text"], "response": ["turns", 1, "text"]},
        {"one": "1"},
    ),
    "rows in several lists": Shape(
        {"t.json": json.dumps({"train": ROWS, "test": ROWS})},
        PAIR,
        "t.json: rows are in several lists (train, test): write each to a file of its own",
    ),
    "columns of lists": Shape({"t.json": json.dumps(TABLE)}, PAIR | {"instruction": "q2"}, "no column q2 (did you"),
    "a number where text is, late in the file": Shape(
        {"t.jsonl": lines(LATE)}, PAIR, {row["q"] if i != 6399 else "6400": str(row["a"]) for i, row in enumerate(LATE)}
    ),
    "numbers as they are written": Shape(
        {"t.jsonl": '{"q": 1.10, "a": 9007199254740993}\n{"q": 1e5, "a": -0.0}\n{"q": true, "a": false}\n'},
        PAIR,
        {"1.10": "9007199254740993", "1e5": "-0.0", "true": "false"},
    ),
    "numbers inside a list as they are written, and lines that are unusual": Shape(
        {"t.jsonl": '{"q": [1.10, {"n": 1e5}], "a": "tab\there"}\n{"q": "long", "a": %s}\n' % ("1" * 5000)},
        PAIR,
        {'[1.10,{"n":1e5}]': "tab\there", "long": "1" * 5000},
    ),
    "null, a missing key and an empty text": Shape(
        {"t.jsonl": lines([{"q": "one", "a": None}, {"q": "two"}, {"q": "", "a": "x"}, {"q": "four", "a": "4"}])},
        PAIR,
        {"one": None, "two": None, "four": "4"},
        {3: "empty"},
        imported={"one": "no_response", "two": "no_response", "four": "4"},
    ),
    "a list where text is": Shape(
        {"t.jsonl": lines([{"q": "one", "a": ["é", 1.50, None]}, ROWS[1]])}, PAIR, {"one": '["é",1.5,null]', "two": "2"}
    ),
    "one odd cell in a nested column": Shape(
        {"t.jsonl": lines([*CHAT, {"turns": "none"}])},
        {"instruction": ["turns", 0, "text"], "response": ["turns", 1, "text"]},
        TWO,
        {3: "not_a_text"},
    ),
    "a batch file with a failed request": Shape(
        {"t.jsonl": lines([*BATCH, FAILED])},
        {"instruction": "custom_id", "response": CONTENT},
        TWO | {"three": None},
        imported=TWO | {"three": "no_response"},
    ),
    "an answer in an object, Arena-Hard v2": Shape(
        {"t.jsonl": lines([{"q": q, "messages": [{}, {"content": {"answer": a}}]} for q, a in TWO.items()])},
        {"instruction": "q", "response": ["messages", -1, "content", "answer"]},
        TWO,
    ),
    "an entry chosen by a key": Shape(
        {"t.jsonl": lines(CHAT)},
        {"instruction": ["turns", {"by": "x"}, "text"], "response": ["turns", {"by": "m1"}, "text"]},
        TWO,
    ),
    "an entry that no row has": Shape(
        {"t.jsonl": lines(CHAT)},
        {"instruction": ["turns", 0, "text"], "response": ["turns", {"by": "m3"}, "text"]},
        't.jsonl: no {"by": "m3"} in column turns, which is a list of 3: [{"by":"x"',
    ),
    "instruction and input joined": Shape(
        {"t.json": json.dumps([{"i": "one", "x": "", "a": "1"}, {"i": "Sum", "x": "two", "a": "2"}])},
        {"instruction": {"join": ["i", "x"]}, "response": "a"},
        {"one": "1", "Sum\n\ntwo": "2"},
    ),
    "columns that are called type and session_id": Shape(
        {"t.jsonl": lines([row | {"type": "x", "session_id": None} for row in ROWS])}, PAIR, TWO
    ),
    "other columns that change their type": Shape(
        {"t.jsonl": lines([ROWS[0] | {"meta": 1}, ROWS[1] | {"meta": {"a": [2]}}])}, PAIR, TWO
    ),
    "a broken line": Shape(
        {"t.jsonl": lines(ROWS) + '{"q": "three", "a": \n' + lines(ROWS)},
        PAIR,
        "t.jsonl, line 3: not JSON (Expecting value, character",
    ),
    "a file that was cut": Shape({"t.json": json.dumps(ROWS, indent=1)[:-9]}, PAIR, "t.json, line 8: not JSON ("),
    "a row that is a list": Shape(
        {"t.jsonl": '{"q": "one"}\n["two"]\n'}, {"instruction": "q"}, "t.jsonl, line 2: a row is an object with columns"
    ),
    "a lone surrogate": Shape(
        {"t.jsonl": lines(ROWS) + '{"q": "cut \\ud83d", "a": "\\ud83d\\ude00"}\n'}, PAIR, TWO, {3: "undecodable"}
    ),
    "bytes that are not UTF-8": Shape(
        {"t.jsonl": b'{"q": "one"}\n{"q": "caf\xe9"}\n'}, {"instruction": "q"}, "t.jsonl, line 2: not UTF-8 ("
    ),
    "UTF-16": Shape({"t.json": json.dumps(ROWS).encode("utf-16")}, PAIR, "t.json, line 1: not UTF-8 ("),
    "a wrong column": Shape(
        {"t.jsonl": lines([{"prompt": "one", "answer": "1"}])},
        {"instruction": "promt"},
        "t.jsonl: no column promt (did you mean prompt?); it has prompt, answer",
    ),
    "no row": Shape({"t.jsonl": ""}, PAIR, "no usable instruction in 0 rows"),
    # CSV and TSV
    "CSV": Shape({"t.csv": 'q,a\none,1\n"two","2"\n'}, PAIR, TWO),
    "CSV with CRLF, quotes and line breaks": Shape(
        {"t.csv": 'q,a\r\n"say ""hi"", twice","1\r\n2"\r\n'}, PAIR, {'say "hi", twice': "1\r\n2"}
    ),
    "CSV with numbers, dates and words for missing values": Shape(
        {"t.csv": "q,a\n007,None\n9007199254740993,NA\n2024-01-01,n/a\nTrue,nan\nnull,\n"},
        PAIR,
        {"007": "None", "9007199254740993": "NA", "2024-01-01": "n/a", "True": "nan", "null": ""},
        imported={"007": "None", "9007199254740993": "NA", "2024-01-01": "n/a", "True": "nan", "null": "empty"},
    ),
    "CSV with an index column and a long cell": Shape(
        {"t.csv": ",q,a\n0,one,1\n1,two," + "x" * 200_000 + "\n"}, PAIR, {"one": "1", "two": "x" * 200_000}
    ),
    "CSV with an extra cell in the first row": Shape(
        {"t.csv": "q,a\none,1,more\ntwo,2\n"}, PAIR, "t.csv, line 2: 3 cells, and the first line has 2 columns: write a"
    ),
    "CSV with a missing cell after a text of two lines": Shape(
        {"t.csv": 'q,a\n"one\n1",1\ntwo\n'}, PAIR, "t.csv, line 4: 1 cells, and the first line has 2 columns"
    ),
    "CSV with backslashes before quotes": Shape(
        {"t.csv": 'q,a\none,"say \\"hi\\""\n'},
        PAIR,
        "t.csv, line 2: ',' expected after '\"': write a quote in a quoted",
    ),
    "CSV with a quote that never ends": Shape(
        {"t.csv": 'q,a\none,1\ntwo,"2\nthree,3\n'}, PAIR, "t.csv, line 3: unexpected end of data: write a quote"
    ),
    "CSV with two columns of one name": Shape({"t.csv": "q,q\none,1\n"}, {"instruction": "q"}, "several columns are"),
    "CSV with semicolons": Shape({"t.csv": "q;a\none;1\n"}, PAIR, "t.csv: no column q, a; it has q;a"),
    "CSV with lists as JSON texts": Shape(
        {"t.csv": 'turns\n"[""one"", ""1""]"\n'}, {"instruction": ["turns", 0], "response": ["turns", 1]}, {"one": "1"}
    ),
    "TSV": Shape({"t.tsv": "q\ta\none\t1, really\n"}, PAIR, {"one": "1, really"}),
    # parquet and Arrow
    "parquet": Shape({"t.parquet": parquet(**TABLE)}, PAIR, TWO),
    "parquet with an object per teacher": Shape(
        {"t.parquet": parquet(q=["one", "two"], **{"m-1.5B": [{"text": "1", "r": 1.0}, {"text": "2", "r": 2.0}]})},
        {"instruction": "q", "response": ["m-1.5B", "text"]},
        TWO,
    ),
    "parquet with lists, categories and numbers": Shape(
        {"t.parquet": parquet(q=pyarrow.array(["one", "two"]).dictionary_encode(), a=[[1.5], [2.25]])},
        {"instruction": "q", "response": ["a", 0]},
        {"one": "1.5", "two": "2.25"},
    ),
    "parquet without a row": Shape(
        {"t.parquet": parquet(q=pyarrow.array([], "string"))}, {"instruction": "q"}, "no usable instruction in 0 rows"
    ),
    "a damaged parquet file": Shape({"t.parquet": parquet(**TABLE)[:-9]}, PAIR, "t.parquet: cannot be read: "),
    "an Arrow file": Shape({"t.arrow": arrow(pyarrow.ipc.new_file, **TABLE)}, PAIR, TWO),
    "an Arrow stream, as `datasets` saves it": Shape({"t.arrow": arrow(pyarrow.ipc.new_stream, **TABLE)}, PAIR, TWO),
    # names, compression and several files
    "gzip": Shape({"t.jsonl.gz": gzip.compress(lines(ROWS).encode())}, PAIR, TWO),
    "zstd": Shape({"t.csv.zst": zstd("q,a\none,1\ntwo,2\n")}, PAIR, TWO),
    "a cut gzip file": Shape({"t.jsonl.gz": gzip.compress(lines(LATE).encode())[:99]}, PAIR, "t.jsonl.gz: cannot be"),
    "a name with brackets": Shape({"t [1].jsonl": lines(ROWS), "t 1.jsonl": lines(LATE)}, PAIR, TWO),
    "a name with a question mark": Shape({"t?.jsonl": lines(ROWS), "t1.jsonl": lines(LATE)}, PAIR, TWO),
    "a name with braces": Shape({"t {q}.jsonl": lines(ROWS)}, PAIR, TWO),
    "several files": Shape({"1.csv": "q,a\none,1\n", "2.jsonl": lines(ROWS[1:])}, PAIR, TWO, path=["1.csv", "2.jsonl"]),
    "a pattern": Shape({"d/1.jsonl": lines(ROWS[:1]), "d/e/2.jsonl": lines(ROWS[1:])}, PAIR, TWO, path="d/**/*.jsonl"),
    "a folder": Shape({"d/1.csv": "q,a\none,1\n", "d/2.csv": "a,q\n2,two\n", "d/README.md": "hi"}, PAIR, TWO, path="d"),
    "a folder of `datasets`": Shape(
        {"d/data-0.arrow": arrow(pyarrow.ipc.new_stream, **TABLE), "d/state.json": "{}", "d/dataset_info.json": "{}"},
        PAIR,
        TWO,
        path="d",
    ),
    "a folder with several formats": Shape(
        {"d/1.csv": "q\none\n", "d/2.json": "[]"},
        PAIR,
        "the folder d has files of several formats (csv, json)",
        path="d",
    ),
    "an optional key that one file lacks": Shape(
        {"1.jsonl": '{"q": "one"}\n', "2.jsonl": lines(ROWS[1:])},
        PAIR,
        {"one": None, "two": "2"},
        path=["1.jsonl", "2.jsonl"],
        imported={"one": "no_response", "two": "2"},
    ),
    "a pattern that no file matches": Shape(
        {"t.jsonl": lines(ROWS)}, PAIR, "no file matches u*.jsonl", path="u*.jsonl"
    ),
    "a file that does not exist": Shape({"t.jsonl": lines(ROWS)}, PAIR, "no file s.jsonl (did you", path="s.jsonl"),
    "an unknown format": Shape(
        {"t.xlsx": b"PK"}, PAIR, "t.xlsx has no format that can be read: a name ends in .jsonl,"
    ),
    # a table of several teachers
    "rows of one teacher": Shape(
        {"t.jsonl": lines([*({**r, "m": "x"} for r in ROWS), {"q": "three", "a": "3", "m": "y"}])},
        PAIR,
        TWO,
        match={"m": "x"},
    ),
    "rows with a number and a truth value": Shape(
        {"t.csv": "q,a,n,ok\none,1,1,true\ntwo,2,01,true\nthree,3,1,false\n"},
        PAIR,
        {"one": "1"},
        match={"n": 1, "ok": True},
    ),
    "no row of a teacher": Shape(
        {"t.parquet": parquet(**TABLE, m=["x", "y"])},
        PAIR,
        "t.parquet: no row has m = z; others have x, y",
        match={"m": "z"},
    ),
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the files of a shape into a folder of their own; returns its path as in a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    def write(shape: Shape):
        for name, content in shape.files.items():
            os.makedirs(os.path.dirname(tmp_path / name), exist_ok=True)
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return shape.path or next(iter(shape.files))

    return write


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_file_is_read_as_it_stands(shape, written):
    source = {"path": written(shape), "columns": shape.columns, "match": shape.match or {}}
    if isinstance(shape.kept, str):
        assert shape.kept in one_line(prepare, source)
        return
    instructions, aside = prepare(source)
    assert sorted(instructions["instruction"]) == sorted(shape.kept)
    assert dict(aside.select("row", "reason").iter_rows()) == (shape.aside or {})
    if "response" in shape.columns:
        run(
            "scripts.responses.import_responses", teacher="t", spec=source, instructions="i.parquet", output="r.parquet"
        )
        responses = instructions.join(read_table("r.parquet"), on="id", how="left", validate="1:1")
        got = responses.with_columns(pl.coalesce("reason", "response").alias("response"))
        assert dict(got.select("instruction", "response").iter_rows()) == (shape.imported or shape.kept)
    assert not os.path.exists("home")


def prepare(source) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Instructions that are kept, and rows that are set aside."""
    sample = {"n": None, "seed": 0, "max_characters": 1000}
    run("scripts.instructions.prepare_instructions", spec=source | sample, output="i.parquet", set_aside="s.parquet")
    return read_table("i.parquet"), read_table("s.parquet")


def one_line(function, *arguments) -> str:
    """The message of the exit that a function ends with, which has one line."""
    with pytest.raises(SystemExit) as end:
        function(*arguments)
    assert "\n" not in end.value.code
    return end.value.code


def test_there_are_at_least_forty_shapes():
    assert len(SHAPES) >= 40


def test_a_file_that_was_replaced_within_the_same_second_is_read_again(written):
    shape = Shape({"t.jsonl": lines(ROWS)}, PAIR, TWO)
    source = {"path": written(shape), "columns": PAIR}
    before = os.stat("t.jsonl")
    assert read_texts(source)["response"].to_list() == ["1", "2"]
    written(Shape({"t.jsonl": lines(ROWS).replace('"2"', '"3"')}, PAIR, TWO))
    os.utime("t.jsonl", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_texts(source)["response"].to_list() == ["1", "3"]


def test_rows_that_are_longer_than_the_pieces_that_are_read_are_whole(written):
    """A list and an object of rows, of which some are longer than 1 MiB, and characters of several bytes are cut."""
    rows = [{"q": f"{i} " + "é🙂" * (300_000 if i % 3 == 0 else 500), "a": i} for i in range(12)]
    for content in (json.dumps(rows), json.dumps(rows, ensure_ascii=False, indent=1), json.dumps({"data": rows})):
        written(Shape({"t.json": content}, PAIR, TWO))
        table = read_texts({"path": "t.json", "columns": PAIR})
        assert table["instruction"].to_list() == [row["q"] for row in rows]
        assert table["response"].to_list() == [str(row["a"]) for row in rows]


def test_only_some_rows_are_read_if_the_first_ones_are_asked_for(written):
    """A broken line after them is not reached."""
    written(Shape({"t.jsonl": lines(LATE[:1500]) + "broken\n"}, PAIR, TWO))
    assert read_texts({"path": "t.jsonl", "columns": PAIR}, first=1200).height == 1200


@pytest.mark.parametrize("value", [{"a": [1.5, True, None, "é\n"], "b": {}}, [], "text", None, 2**70, -0.5])
def test_the_text_of_a_value_is_compact_json(value):
    texts = isinstance(value, str) or value is None
    assert text_of(value) == (value if texts else json.dumps(value, ensure_ascii=False, separators=(",", ":")))
