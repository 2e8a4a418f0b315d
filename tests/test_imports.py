"""Imported responses and rewards: wide and long tables, by id or by text; every instruction has a row."""

import json
import os
import subprocess
import sys

import polars as pl
import pytest

IDS = ["a", "b", "c", "d", "e", "f"]
TEXTS = ["Say a", "Say b", "Say c", "Say d", "caf\u00e9", "Say f"]
REWARDS = [1.5, -2.0, None, 0.25, 3.0]
ANSWERS = ["A", None, "  ", "D \ufffd", "E <|end|>"]


def script_of(name):
    return f"scripts.{'rewards' if name == 'import_rewards' else 'responses'}.{name}"


def run(script, folder, spec, **more):
    """Run a script with the six instructions above; its table, or what it printed if it failed."""
    pl.DataFrame({"id": IDS, "instruction": TEXTS}).write_parquet(folder / "instructions.parquet")
    defaults = {"match": {}, "file": None, "split": "train", "revision": None}
    output = folder / f"{script}.parquet"
    arguments = {"teacher": "t", "spec": json.dumps(defaults | spec), "instructions": folder / "instructions.parquet"}
    arguments |= {"output": output, **more}
    command = [sys.executable, "-m", script_of(script)]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return pl.read_parquet(output) if done.returncode == 0 else done.stdout


def wide(folder) -> dict:
    """A parquet with a struct per teacher, in a different order than the instructions and without the last one."""
    cells = [{"content": text, "rm-8.B": reward} for text, reward in zip(ANSWERS, REWARDS, strict=True)]
    other = [{"content": "no", "rm-8.B": 0.0}] * 5
    frame = pl.DataFrame({"uuid": IDS[:5], "instruction": TEXTS[:5], "Qwen2.5-3B": cells, "other": other})
    frame.reverse().write_parquet(folder / "wide.parquet")
    columns = {"id": "uuid", "instruction": "instruction", "response": ["Qwen2.5-3B", "content"]}
    return {"path": str(folder / "wide.parquet"), "columns": columns}


EXPECTED = [
    ("a", "A", None),
    ("b", None, "no_response"),
    ("c", None, "empty"),
    ("d", "D \ufffd", "undecodable"),
    ("e", "E <|end|>", None),
    ("f", None, "not_in_import"),
]


def test_a_wide_table_gives_every_instruction_a_response_or_a_reason(tmp_path):
    got = run("import_responses", tmp_path, wide(tmp_path))
    assert got.select("id", "response", "reason").rows() == EXPECTED
    assert set(got["teacher"]) == {"t"} and set(got["candidate"]) == {0}


def test_of_a_long_table_the_rows_of_one_teacher_are_matched_by_the_text_of_the_instruction(tmp_path):
    rows = [{"who": "x", "prompt": t, "output": [{"text": a}]} for t, a in zip(TEXTS[:5], ANSWERS, strict=True)]
    rows[4]["prompt"] = " cafe\u0301\r\n"  # the same text with another encoding of the accent
    rows += [{"who": "y", "prompt": t, "output": [{"text": "other"}]} for t in TEXTS]
    rows += [{"who": "x", "prompt": TEXTS[0], "output": [{"text": "too late"}]}]
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"instruction": "prompt", "response": ["output", 0, "text"]}
    got = run("import_responses", tmp_path, {"path": str(path), "match": {"who": "x"}, "columns": columns})
    assert "instructions with several different responses: 1, with up to 2 each" in got
    spec = {"path": str(path), "match": {"who": "x"}, "columns": columns, "candidates": 1}
    got = run("import_responses", tmp_path, spec)
    assert got.select("id", "response", "reason").rows() == EXPECTED


def test_the_rewards_of_a_column_are_matched_to_the_right_rows(tmp_path):
    spec = wide(tmp_path)
    run("import_responses", tmp_path, spec)
    del spec["columns"]["response"]
    spec["columns"]["reward"] = ["Qwen2.5-3B", "rm-8.B"]
    more = {"reward-model": "rm", "responses": tmp_path / "import_responses.parquet"}
    got = run("import_rewards", tmp_path, spec, **more)
    assert got.select("id", "reward", "reason").rows() == [
        ("a", 1.5, None),
        ("b", None, "no_response"),
        ("c", None, "empty"),
        ("d", None, "undecodable"),
        ("e", 3.0, None),
        ("f", None, "not_in_import"),
    ]


def test_a_usable_response_without_a_reward_has_a_reason(tmp_path):
    table = pl.DataFrame({"id": IDS, "output": ["x"] * 6, "reward": [1.0, None, float("nan"), 2.0, 3.0, 4.0]})
    table.write_parquet(tmp_path / "t.parquet")
    spec = {"path": str(tmp_path / "t.parquet"), "columns": {"id": "id", "response": "output"}}
    run("import_responses", tmp_path, spec)
    spec["columns"] = {"id": "id", "reward": "reward"}
    more = {"reward-model": "rm", "responses": tmp_path / "import_responses.parquet"}
    got = run("import_rewards", tmp_path, spec, **more)
    assert got["reason"].to_list() == [None, "no_reward", "no_reward", None, None, None]


@pytest.mark.fault(6)
@pytest.mark.parametrize(
    "change, line",
    [
        (
            {"response": ["Qwen2.5-3B", "contents"]},
            "no contents (did you mean content?) in column Qwen2.5-3B, which is an object with content, rm-8.B",
        ),
        (
            {"response": "Qwen2.5-7B"},
            "no column Qwen2.5-7B (did you mean Qwen2.5-3B?); it has uuid, instruction, Qwen2.5-3B, other",
        ),
        ({"instruction": "uuid"}, "ids with a different instruction in the table (5): ['e', 'd', 'c']"),
    ],
)
def test_a_wrong_column_is_an_error_in_one_line(tmp_path, change, line):
    spec = wide(tmp_path)
    spec["columns"] |= change
    printed = run("import_responses", tmp_path, spec)
    assert "Traceback" not in printed and line in printed.splitlines()[-1], printed


def test_a_teacher_without_a_row_is_an_error(tmp_path):
    printed = run("import_responses", tmp_path, wide(tmp_path) | {"match": {"uuid": "z"}})
    assert printed.rstrip().endswith("wide.parquet: no row has uuid = z; others have e, d, c, b, a")


@pytest.mark.slow
def test_a_hundred_thousand_instructions_of_nineteen_teachers_take_less_than_a_gibibyte_and_a_half(tmp_path):
    """The shape of Magpie-100K-Generator-Zoo: a struct of a text of about 1.5 KB and three rewards per teacher."""
    n, teachers = 100_000, 19
    ids = pl.select(pl.int_range(n).cast(pl.String).alias("id"))["id"]
    instructions = pl.DataFrame({"id": ids, "instruction": "Say " + ids})
    shard = n // 10
    (tmp_path / "zoo").mkdir()
    for k in range(10):
        part = instructions.slice(k * shard, shard)
        text = pl.Series([f"{i} " * 250 for i in part["id"]])
        cell = pl.DataFrame({"content": text, "rm1": 1.0, "rm2": part["id"].cast(float), "rm3": 3.0}).to_struct()
        part.with_columns([cell.alias(f"t{t}") for t in range(teachers)]).write_parquet(
            tmp_path / f"zoo/train-{k:05}.parquet", row_group_size=1000
        )
    instructions.write_parquet(tmp_path / "instructions.parquet")
    columns = {"id": "id", "instruction": "instruction", "response": ["t7", "content"]}
    spec = {"path": str(tmp_path / "zoo/*.parquet"), "match": {}, "columns": columns}
    code = (
        "import sys, runpy, resource; sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__');"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for script, more in (
        ("import_responses", []),
        ("import_rewards", ["--reward-model", "rm2", "--responses", str(tmp_path / "import_responses.parquet")]),
    ):
        if more:
            del columns["response"]
            columns["reward"] = ["t7", "rm2"]
        command = [sys.executable, "-c", code, script_of(script), "--teacher", "t7"]
        command += ["--spec", json.dumps(spec), "--instructions", str(tmp_path / "instructions.parquet"), *more]
        command += ["--output", str(tmp_path / f"{script}.parquet")]
        environment = os.environ | {"HF_DATASETS_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split("peak ")[1]) / 2**20)
    print("peak GiB", peaks)
    assert max(peaks) < 1.5
    rewards = pl.read_parquet(tmp_path / "import_rewards.parquet")
    assert rewards.height == n and (rewards["reward"] == rewards["id"].cast(float)).all()
