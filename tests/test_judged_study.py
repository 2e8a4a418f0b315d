"""The study with every protocol: a small judge trained for it, both forms of asking it, a reward model as judge."""

import csv
import json
import math
import re
import subprocess

import polars as pl
import pytest

from conftest import ROOT, snakemake
from test_vllm import API, ENVIRONMENT, NAMES, PYTHON, vllm

pytestmark = [pytest.mark.slow, pytest.mark.study]

RESULTS = ROOT / "results/miniature-full"
CONFIG = ["--configfile", "config/miniature-full.yaml"]


@pytest.fixture(scope="module", autouse=True)
def judged(study):
    done = snakemake("--cores", "2", *CONFIG, cwd=study)
    assert done.returncode == 0, done.stdout[-5000:]


def judgments(benchmark):
    """All judgments of a benchmark, and whether the model's and the baseline's answers are right."""
    right = pl.concat(map(pl.read_parquet, sorted((RESULTS / "judgments/held_out").glob("*/*.parquet"))))
    rows = pl.concat(map(pl.read_parquet, sorted((RESULTS / "judgments" / benchmark).glob("*/*.parquet"))))
    return rows.join(right.select("base", "teacher", "id", "correct", "baseline_correct"), on=["base", "teacher", "id"])


def scores(benchmark):
    return {path.stem: json.loads(path.read_text()) for path in (RESULTS / "scores" / benchmark).glob("*/*.json")}


def preference(row):
    """The chance that the judge names the model, as AlpacaEval defines it; equal answers are a tie."""
    if row["decided"]:
        return {"identical": 0.5, "empty": 0.0}[row["decided"]]
    said = json.loads(row["logprobs"])
    m, other = math.exp(said.get("m", -math.inf)), math.exp(said.get("M", -math.inf))
    return (m if row["switched"] else other) / (m + other)


def test_a_second_run_has_nothing_to_do():
    assert "Nothing to be done" in snakemake("--cores", "1", *CONFIG, cwd=ROOT).stdout


def test_the_one_token_judge_prefers_right_answers_and_its_scores_follow_from_what_it_said():
    rows = judgments("compared").to_dicts()
    told = [row for row in rows if row["correct"] != row["baseline_correct"]]
    agrees = [(preference(row) > 0.5) == row["correct"] for row in told]
    print(f"right in {sum(agrees)} of {len(agrees)} comparisons of a right answer and a wrong one")
    assert len(agrees) > 300 and sum(agrees) / len(agrees) > 0.6
    for teacher, score in scores("compared").items():
        mine = [preference(row) for row in rows if row["teacher"] == teacher]
        assert score["wr"]["value"] == pytest.approx(100 * sum(mine) / len(mine), abs=1e-9)
        assert (score["n"], score["n_unparsed"], score["judge"]) == (300, 0, "pairwise")
        low, high = score["length_only"]["ci"]
        assert low < score["length_only"]["value"] < high and "lc" not in score


def test_the_judge_of_games_gives_verdicts_and_its_scores_follow_from_them():
    rows = judgments("games").to_dicts()
    values = {"A>>B": 3, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -3}
    agrees, sums = [], {}
    for row in rows:
        label = "A=B" if row["decided"] == "identical" else re.fullmatch(r"\[\[([AB<>=]+)\]\]", row["text"])[1]
        value = values[label] if row["game"] == 2 else -values[label]
        wins, weight = sums.get(row["teacher"], (0, 0))
        sums[row["teacher"]] = (wins + max(value, 0) + (value == 0) / 2, weight + max(abs(value), 1))
        if row["correct"] != row["baseline_correct"] and value:
            agrees.append((value > 0) == row["correct"])
    print(f"right in {sum(agrees)} of {len(agrees)} games of a right answer and a wrong one")
    assert len(agrees) > 300 and sum(agrees) / len(agrees) > 0.6
    for teacher, score in scores("games").items():
        assert score["wr"]["value"] == pytest.approx(100 * sums[teacher][0] / sums[teacher][1], abs=1e-9)
        assert (score["n"], score["n_unparsed"]) == (300, 0)


def test_the_reward_model_as_judge_prefers_what_it_scores_higher():
    rows = judgments("liked")
    margin = rows["reward"] - rows["baseline_reward"]
    assert rows["preference"].to_list() == [1.0 if m > 0 else 0.0 if m < 0 else 0.5 for m in margin]
    assert rows["preference"].n_unique() > 1


def test_the_average_performance_names_its_judge():
    with open(RESULTS / "tables/performance.csv") as file:
        for row in csv.DictReader(file):
            assert float(row["ap"]) == pytest.approx((float(row["compared.length_only"]) + float(row["games.wr"])) / 2)
            assert row["judged_by"] == "pairwise"


@pytest.mark.parametrize("benchmark, protocol", [("compared", "alpaca_eval"), ("games", "arena_hard")])
def test_the_judge_says_on_vllm_what_it_says_on_transformers(tmp_path, benchmark, protocol):
    pair = "alpha/terse-large.parquet"
    arguments = {
        "protocol": protocol,
        "judge": json.dumps(NAMES | vllm("pairwise")),
        "sampling": json.dumps({"max_new_tokens": 12} if protocol == "arena_hard" else {}),
        "template": ROOT / f"config/miniature/judge_{protocol}.txt",
        "api": json.dumps(API),
        "prompts": RESULTS / f"prompts/{benchmark}.parquet",
        "baseline": RESULTS / f"baselines/{benchmark}.parquet",
        "answers": RESULTS / f"answers/{benchmark}/{pair}",
        "store": tmp_path / "rows",
        "output": tmp_path / "judgments.parquet",
    }
    command = [PYTHON, ROOT / "scripts/judge_pairs.py"]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-3000:]
    got = pl.read_parquet(arguments["output"])
    expected = pl.read_parquet(RESULTS / f"judgments/{benchmark}/{pair}")
    assert got.drop("text", "logprobs").equals(expected.drop("text", "logprobs"))
    same = (got["text"] == expected["text"]).sum() / got["text"].count()
    print(f"{same:.2%} of what the judge says agrees")
    assert same >= 0.99
    if protocol == "alpaca_eval":
        mine, theirs = ([preference(row) for row in frame.to_dicts()] for frame in (got, expected))
        assert mine == pytest.approx(theirs, abs=1e-3) and len(set(mine)) > 100
