"""Data sets of the hub: subsets, files by name or pattern, and errors that list what there is; read from a real server.

One process reads all of them, because the hub's address is read when its libraries are loaded.
"""

import json
import os
import subprocess
import sys

import pytest

from hub_server import hub_with

READ = """
import json, sys
from scripts.tables.sources import read_texts
for case in json.load(sys.stdin):
    try:
        result = read_texts(case["source"], case["first"]).rows()
    except SystemExit as end:
        result = end.code
    print("RESULT" + json.dumps(result))
"""
EASY, HARD = "{config_name: easy, data_files: easy/*.jsonl}", "{config_name: hard, data_files: hard.jsonl}"
FILES = {
    "README.md": f"---\nconfigs: [{EASY}, {HARD}]\n---\n".encode(),
    "easy/1.jsonl": b'{"q": "e1", "n": 1}\n',
    "easy/2.jsonl": b'{"q": "e2", "n": 2}\n{"q": "e3", "n": 3}\n',
    "hard.jsonl": b'{"q": "h1", "n": 1}\n{"q": "h2", "n": 2}\n',
    "odd.csv": b"q,n\n007,NA\n",
}
SOURCE = {"dataset": "acme/questions", "split": "train", "revision": None, "columns": {"instruction": "q", "id": "n"}}
CASES = {
    "a subset": ({"subset": "hard"}, [["h1", "1"], ["h2", "2"]]),
    "its first rows": ({"subset": "easy", "first": 2}, [["e1", "1"], ["e2", "2"]]),
    "rows that match": ({"subset": "easy", "match": {"n": 2}}, [["e2", "2"]]),
    "a file, whose cells are texts": ({"file": "odd.csv"}, [["007", "NA"]]),
    "files by a pattern": ({"file": "easy/*.jsonl"}, [["e1", "1"], ["e2", "2"], ["e3", "3"]]),
    "no subset": (
        {},
        "among the available configs: ['easy', 'hard'] Example of usage: `load_dataset('acme/questions', ",
    ),
    "the way out of it": ({}, ": name one by `subset`"),
    "a wrong subset": (
        {"subset": "hrd"},
        "acme/questions: cannot be read: BuilderConfig 'hrd' not found. Available: ['e",
    ),
    "a wrong split": ({"subset": "hard", "split": "test"}, "Unknown split \"test\". Should be one of ['train']."),
    "a wrong column": (
        {"subset": "hard", "columns": {"instruction": "qq"}},
        "acme/questions: no column qq (did you mean q?); it has q, n",
    ),
    "a wrong file": ({"file": "od.csv"}, "acme/questions/od.csv: no such file (did you mean odd.csv?)"),
    "a wrong data set": (
        {"dataset": "acme/nothing"},
        "acme/nothing: cannot be read: Dataset 'acme/nothing' doesn't exist",
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [
        {"source": SOURCE | {key: value for key, value in more.items() if key != "first"}, "first": more.get("first")}
        for more, _ in CASES.values()
    ]
    with hub_with("acme/questions", FILES) as hub:
        environment = os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path_factory.mktemp("home"))}
        done = subprocess.run(
            [sys.executable, "-c", READ], input=json.dumps(cases), env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return dict(zip(CASES, found, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_a_data_set_of_the_hub_is_read_or_the_error_says_what_there_is(case, results):
    expected = CASES[case][1]
    if isinstance(expected, str):
        assert expected in results[case] and "\n" not in results[case]
    else:
        assert results[case] == expected
