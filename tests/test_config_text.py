"""Duplicate keys of a configuration, keys that are not text, and sections given with --config."""

import json
import subprocess
import sys

import pytest

from conftest import ROOT, snakemake
from scripts.configuration.command_line import merge_sections
from scripts.configuration.included import include_files
from scripts.configuration.yaml_keys import wrong_keys

CAR = {"reward_model": "right-answer", "beta": 1.0}


@pytest.mark.parametrize(
    "text, lines",
    [
        ("car: {beta: 1}\nap: []\ncar: {beta: 2}\n", ["f, line 3: car is already defined in line 1: rename or delete"]),
        ("t:\n  a: 1\n  b: 2\n  'a': 3\n", ["f, line 4: a is already defined in line 2: rename or delete"]),
        ("a: {x: 1}\nb: {x: 2}\n", []),  # the same key in two sections
        ("a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: {<<: *a, <<: *a}\n", []),  # a merged key may be replaced
        ("list:\n- {a: 1, a: 2}\n", ["f, line 2: a is already defined in line 2"]),
        ("7: x\n", ["f, line 1: the key 7 is read as a number: put it in quotes"]),
        ("a:\n  no: x\n", ["f, line 2: the key no is read as true or false: put it in quotes"]),
        ("2024-01-01: x\n", ["f, line 1: the key 2024-01-01 is read as a date: put it in quotes"]),
        ("null: x\n", ["f, line 1: the key null is read as null: put it in quotes"]),
        ("1.5: x\n'7': y\n\"no\": z\n", ["f, line 1: the key 1.5 is read as a number: put it in quotes"]),
        ('{"a": 1,\n\t"a": 2}', ["f, line 2: a is already defined in line 1"]),  # JSON
        ("a: [", []),  # reported by whoever reads the values
        ("", []),
    ],
)
def test_a_duplicate_key_and_a_key_that_is_not_text_are_errors_with_their_lines(text, lines):
    found = wrong_keys(text, "f")
    assert len(found) == len(lines) and all(a.startswith(b) for a, b in zip(found, lines, strict=True)), found


@pytest.mark.parametrize(
    "setting, car",
    [
        ('car={"beta": 2}', CAR | {"beta": 2}),
        ("car={beta: 2, transform: sigmoid}", CAR | {"beta": 2, "transform": "sigmoid"}),
        ('car={"beta": 2e-5}', CAR | {"beta": 2e-5}),
        ("car={'beta': None}", CAR | {"beta": None}),
        ("car={beta: 'a=b'}", CAR | {"beta": "a=b"}),
        ("car=2", CAR),  # Snakemake's own reading stays
        ("study=no", CAR),
    ],
)
def test_a_section_given_on_the_command_line_is_merged_into_the_one_of_the_file(setting, car):
    config = {"study": "s", "car": dict(CAR)}
    assert merge_sections(config, [setting]) == [] and config == {"study": "s", "car": car}


@pytest.mark.parametrize(
    "setting, line",
    [
        ('car={"beta": 2', "--config car: neither JSON nor YAML (did not find expected ',' or '}'): {\"beta\": 2"),
        ("car={7: 2}", "--config car, line 1: the key 7 is read as a number: put it in quotes"),
        ("car={beta: 2, beta: 3}", "--config car, line 1: beta is already defined in line 1: rename or delete one"),
    ],
)
def test_a_section_on_the_command_line_that_cannot_be_read_is_an_error_of_one_line(setting, line):
    (problem,) = merge_sections({"car": dict(CAR)}, [setting])
    assert problem.startswith(line) and "\n" not in problem


def test_snakemake_and_its_plan_use_the_sections_of_the_command_line(checkout):
    settings = ["--config", 'car={"beta": 2}', "instructions={n: 77}"]
    done = snakemake("plan", "-n", "-p", *settings, cwd=checkout)
    config = json.JSONDecoder().raw_decode(done.stdout.split("plan_study --config '")[1])[0]
    assert config["car"] == CAR | {"beta": 2, "transform": "none"}
    assert config["instructions"]["n"] == 77


def test_wrong_keys_of_every_configuration_file_stop_snakemake(checkout):
    text = (ROOT / "config/config.yaml").read_text(encoding="utf-8")
    (checkout / "first.yaml").write_text(f"{text}\ncar: {{reward_model: right-answer}}\n", encoding="utf-8")
    (checkout / "second.yaml").write_text("teachers:\n  7: {model: ./results/world/plain-small}\n", encoding="utf-8")
    done = snakemake("-n", "--configfile", "first.yaml", "second.yaml", cwd=checkout)
    number = text.splitlines().index("car:") + 1
    assert done.returncode and done.stdout.rstrip().splitlines()[-3:] == [
        "The configuration cannot be used:",
        f"first.yaml, line {len(text.splitlines()) + 2}: car is already defined in line {number}: "
        "rename or delete one of the two",
        "second.yaml, line 2: the key 7 is read as a number: put it in quotes",
    ]
    command = [sys.executable, "-m", "scripts.configuration.check_config", "--config", "first.yaml", "second.yaml"]
    by_hand = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert by_hand.stderr.splitlines() == done.stdout.rstrip().splitlines()[-2:]


@pytest.mark.parametrize(
    "text, line",
    [("a: [", "x.yaml: not YAML: "), ("text", "x.yaml: no configuration: "), (None, "x.yaml: cannot be read: ")],
)
def test_check_config_reports_a_file_that_cannot_be_read_in_one_line(tmp_path, text, line):
    if text is not None:
        (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "scripts.configuration.check_config", "--config", "x.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.startswith(line) and len(done.stderr.splitlines()) == 1


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes files into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    return write


def test_later_files_win_and_the_file_itself_over_all_and_null_deletes_an_entry_but_is_a_value(files):
    files(
        a="study: a\ninstructions: {n: 5, path: x}\nap: [b.wr, c.wr]\n"
        "teachers: {t: {model: m, gpus: 1}, u: {model: m}}\n",
        b="include: [a.yaml]\nteachers: {u: null, v: {model: w}}\n",
        c="car: {beta: 2}\nteachers: {t: {gpus: 2}}\n",
    )
    own = {"include": ["b.yaml", "c.yaml"], "study": "mine", "ap": ["b.wr"], "instructions": {"n": None}}
    assert include_files(own) == []
    assert own == {
        "study": "mine",
        "instructions": {"n": None, "path": "x"},
        "teachers": {"t": {"model": "m", "gpus": 2}, "v": {"model": "w"}},
        "ap": ["b.wr"],
        "car": {"beta": 2},
    }


@pytest.mark.parametrize(
    "include, line",
    [
        ("a.yaml", "include: a list of files is needed, such as [config/paper.yaml]"),
        (["no.yaml"], "no.yaml: cannot be read: [Errno 2] No such file or directory: 'no.yaml'"),
        (["list.yaml"], "list.yaml: no configuration: there are no keys at its top level"),
        (["one.yaml"], "include: one.yaml includes two.yaml includes one.yaml: a circle"),
        (["twice.yaml"], "twice.yaml, line 2: study is already defined in line 1: rename or delete one of the two"),
    ],
)
def test_a_wrong_include_is_one_line(files, include, line):
    files(one="include: [two.yaml]\n", two="include: [one.yaml]\n", list="- a\n", twice="study: a\nstudy: b\n")
    assert include_files({"include": include}) == [line]
