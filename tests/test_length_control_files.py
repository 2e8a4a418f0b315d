"""Published baseline answers and difficulties, which are in another order, are matched with their prompts."""

import json
import subprocess
import sys

import polars as pl
import pytest

from scripts.scores.score_alpaca_eval import difficulties

FROM = {"split": "train", "revision": None, "match": {}}


@pytest.fixture
def files(tmp_path):
    """40 prompts in their published order, each with a difficulty; the study has 25 of them, in another order."""
    published = pl.DataFrame({"instruction": [f"Question {i}" for i in range(40)]})
    published.write_csv(tmp_path / "published.csv")
    pl.DataFrame({"": range(40), "instruction_difficulty": [i / 10 for i in range(40)]}).write_csv(
        tmp_path / "instruction_difficulty.csv"
    )
    gamed = {"preference": [0.4, 0.7], "std_delta_len": [-1.0, 1.0], "instruction_difficulty": [0.1, 0.2]}
    pl.DataFrame(gamed).write_csv(tmp_path / "df_gamed.csv")
    prompts = published.with_columns(id=pl.format("id-{}", pl.int_range(pl.len())))
    prompts.sample(25, shuffle=True, seed=3).write_parquet(tmp_path / "prompts.parquet")
    return tmp_path


def run(script, status=0, **arguments):
    command = [sys.executable, "-m", script]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key.replace('_', '-')}", value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == status, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def prepare(files, status=0):
    gamed = {"y": "preference", "std_delta_len": "std_delta_len", "difficulty": "instruction_difficulty"}
    difficulty = {"difficulty": "instruction_difficulty"}
    return run(
        "scripts.scores.prepare_length_control",
        status,
        prompts_spec=json.dumps({"path": f"{files}/published.csv", "columns": {"instruction": "instruction"}}),
        difficulty=json.dumps({"path": f"{files}/instruction_difficulty.csv", "columns": difficulty, **FROM}),
        gamed=json.dumps({"path": f"{files}/df_gamed.csv", "columns": gamed, **FROM}),
        prompts=files / "prompts.parquet",
        output_difficulty=files / "difficulty.parquet",
        output_gamed=files / "gamed.parquet",
    )


def test_difficulties_stay_with_their_instructions_in_another_order_and_with_missing_rows(files):
    assert "prompts with a difficulty: 25 of 25; gamed rows: 2" in prepare(files)
    judged = pl.read_parquet(files / "prompts.parquet").sample(18, shuffle=True, seed=5)
    rows, gamed = difficulties(judged, [files / "difficulty.parquet", files / "gamed.parquet"])
    assert rows["difficulty"].to_list() == [int(i.removeprefix("id-")) / 10 for i in judged["id"]]
    assert gamed["y"].to_list() == [0.4, 0.7]


def test_difficulties_that_cannot_be_matched_are_an_error(files):
    short = pl.read_csv(files / "instruction_difficulty.csv").head(39)
    short.write_csv(files / "instruction_difficulty.csv")
    assert "39 difficulties for 40 prompts" in prepare(files, status=1)
    assert not (files / "difficulty.parquet").exists()
    one = files / "one.parquet"
    pl.DataFrame({"id": ["a"], "difficulty": [1.0]}).write_parquet(one)
    with pytest.raises(SystemExit, match=r"one\.parquet: instructions without a difficulty: 1, first b"):
        difficulties(pl.DataFrame({"id": ["a", "b"]}), [one, one])


def test_baseline_answers_are_matched_by_text_and_a_missing_one_has_a_reason(files):
    answers = pl.DataFrame({"instruction": [f"Question {i} " for i in range(39, 0, -1)]})
    answers = answers.with_columns(output=pl.format("answer to {}", pl.col("instruction").str.strip_chars()))
    answers.write_ndjson(files / "answers.jsonl")
    prompts = pl.DataFrame({"id": ["x", "y", "z"], "instruction": ["Question 7", "Question 0", "Question 39"]})
    prompts.write_parquet(files / "few.parquet")
    columns = {"instruction": "instruction", "response": "output"}
    run(
        "scripts.answers.import_baseline",
        benchmark="b",
        spec=json.dumps({"path": f"{files}/answers.jsonl", "columns": columns, **FROM}),
        prompts=files / "few.parquet",
        output=files / "baseline.parquet",
    )
    got = pl.read_parquet(files / "baseline.parquet")
    assert got["id"].to_list() == ["x", "y", "z"]
    assert got["answer"].to_list() == ["answer to Question 7", None, "answer to Question 39"]
    assert got["reason"].is_null().to_list() == [True, False, True]
