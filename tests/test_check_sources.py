"""What `check` says about the first rows of every table."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT
from costly_outputs import run
from scripts.checks import print_checks
from scripts.checks.checked_sources import sources_to_check
from scripts.configuration.check_config import fill_and_check
from test_config import example

ROWS = [{"q": "one", "a": "1", "r": 0.5}, {"q": "two", "a": " ", "r": None}, {"q": "three", "r": 2}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def source(needed, **more):
    return {"path": "t.jsonl", "columns": {"instruction": "q", "response": "a"}, "needed": [needed], **more}


def test_usable_rows_are_counted_and_printed(folder, monkeypatch, capsys):
    sources = {"instructions": source("instruction"), "teachers.t.import": source("response")}
    run("scripts.checks.check_sources", sources=sources, output="s.json")
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["x", "--facts", "--disk", "--sources", "s.json"])
    print_checks.main()
    assert capsys.readouterr().out.splitlines()[:2] == [
        "  instructions: t.jsonl, 3 of the first 3 rows have a text in instruction",
        "  teachers.t.import: t.jsonl, 1 of the first 3 rows have a text in response",
    ]


def test_several_different_responses_to_an_instruction_are_a_problem_unless_candidates_says_what_they_are(folder):
    rows = [{"i": i, "q": q, "a": a} for i, q, a in [(1, "one", "A"), (None, "two", "B"), (1, "one", "C")]]
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[1]]))
    config = example()
    columns = {"id": "i", "instruction": "q", "response": "a"}
    config["teachers"]["v1.5"] = {"import": {"path": "t.jsonl", "columns": columns}}
    fill_and_check(config)
    checked = {"teachers.v1.5.import": sources_to_check(config)["teachers.v1.5.import"]}
    with pytest.raises(SystemExit, match=r"v1\.5\.import: t\.jsonl: instructions with several different responses: 1"):
        run("scripts.checks.check_sources", sources=checked, output="s.json")
    checked["teachers.v1.5.import"]["candidates"] = 2
    run("scripts.checks.check_sources", sources=checked, output="s.json")
    assert json.loads((folder / "s.json").read_text())["teachers.v1.5.import"]["usable"] == 4


def test_all_problems_are_reported_at_once(folder):
    (folder / "empty.csv").write_text("q,a\n")
    sources = {
        "instructions": source("instruction", columns={"instruction": "Q"}),
        "teachers.none.import": source("reference", columns={"instruction": "q", "reference": ["a", 0]}),
        "teachers.empty.import": source("response", path="empty.csv"),
        "teachers.other.import": source("response", match={"q": "four"}),
        "teachers.good.import": source("response"),
    }
    with pytest.raises(SystemExit) as end:
        run("scripts.checks.check_sources", sources=sources, output="s.json")
    assert end.value.code.splitlines() == [
        "instructions: t.jsonl: no column Q; it has q, a, r",
        "teachers.none.import: t.jsonl: no 0 in column a, which is not an object or a list: 1",
        "teachers.empty.import: empty.csv: it has no row",
        "teachers.other.import: t.jsonl: no row has q = four; others have one, two, three",
    ]
    assert not (folder / "s.json").exists()


def test_a_table_whose_first_rows_have_no_text_is_an_error(folder):
    (folder / "t.jsonl").write_text('{"q": "one", "a": null}\n' * 1000 + '{"q": "one", "a": "1"}\n')
    with pytest.raises(SystemExit, match=r"^x: t.jsonl: none of its first 1,000 rows has a text in response$"):
        run("scripts.checks.check_sources", sources={"x": source("response")}, output="s.json")


@pytest.mark.fault(30)
def test_a_table_on_an_unreachable_hub_is_not_checked_and_is_no_error(folder):
    sources = {
        "instructions": {"dataset": "acme/questions", "file": "q.csv", "revision": None, "needed": ["instruction"]}
    }
    sources["instructions"] |= {"columns": {"instruction": "q"}}
    command = [sys.executable, "-m", "scripts.checks.check_sources", "--sources", json.dumps(sources)]
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(folder / "hub")}
    done = subprocess.run([*command, "--output", "s.json"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cannot be read" in json.loads((folder / "s.json").read_text())["instructions"]["not checked"]


def test_every_table_of_a_configuration_is_checked_except_those_that_the_workflow_writes(folder):
    (folder / "config").symlink_to(ROOT / "config")
    config = example()
    assert fill_and_check(config) == [] and sources_to_check(config) == {}
    table = {"path": "t.jsonl", "columns": {"instruction": "q", "response": "a"}}
    config["teachers"]["x"] = {"import": table | {"rewards": {"right-answer": "r"}}}
    config["benchmarks"]["held_out"] |= {"baseline_answers": table}
    del config["benchmarks"]["held_out"]["baseline"]
    assert fill_and_check(config) == []
    checked = sources_to_check(config)
    assert set(checked) == {"teachers.x.import", "benchmarks.held_out.baseline_answers"}
    assert checked["teachers.x.import"]["columns"] == table["columns"] | {"rewards.right-answer": "r"}
    assert {entry["needed"][0] for entry in checked.values()} == {"response"}
