"""The study with every protocol: a small judge trained for it, asked in both forms, and a reward model as judge."""

import csv
import json
import math
import random
import re
import subprocess
import sys
from itertools import islice

import polars as pl
import pytest

from conftest import ROOT, snakemake
from scripts.miniature.miniature_tasks import STYLES, damage, draw_tasks
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
    """The chance that the judge names the model, as AlpacaEval defines it; identical answers are a tie."""
    if row["decided"]:
        return {"identical": 0.5, "empty": 0.0}[row["decided"]]
    tokens = [(text.strip(), math.exp(logprob)) for text, logprob in json.loads(row["logprobs"])]
    m, other = (sum(p for text, p in tokens if text == name) for name in "mM")
    return (m if row["switched"] else other) / (m + other)


def test_a_second_run_has_nothing_to_do():
    assert "Nothing to be done" in snakemake("--cores", "1", *CONFIG, cwd=ROOT).stdout


def judge_right_and_damaged(folder, protocol, n=400):
    """The judgments of a right and a damaged answer to each of n tasks that the judge has not seen.

    `right`: whether the model's answer is the right one.
    """
    rng = random.Random("judge test")
    tasks = list({task.instruction: task for task in islice(draw_tasks("judge test"), n)}.values())
    styles, right = [STYLES[rng.choice(sorted(STYLES))] for _ in tasks], [rng.random() < 0.5 for _ in tasks]
    texts = [
        [style(task), style(task._replace(answer=damage(rng, task)))] for style, task in zip(styles, tasks, strict=True)
    ]
    frame = pl.DataFrame(
        {"id": [str(i) for i in range(len(tasks))], "instruction": [task.instruction for task in tasks]}
    )
    names = {"benchmark": pl.lit("b"), "base": pl.lit("x"), "teacher": pl.lit("t"), "finish_reason": pl.lit("stop")}
    columns = {"reason": pl.lit(None, pl.String), "n_tokens": pl.lit(1), **names}
    frame.with_columns(raw_instruction="instruction").write_parquet(folder / "prompts.parquet")
    for name, is_right in (("answers", right), ("baseline", [not r for r in right])):
        answer = [pair[0] if r else pair[1] for pair, r in zip(texts, is_right, strict=True)]
        frame.select("id", answer=pl.Series(answer), **columns).write_parquet(folder / f"{name}.parquet")
    files = {name: folder / f"{name}.parquet" for name in ("prompts", "baseline", "answers")}
    transformers = {"engine": "transformers", "model": vllm("pairwise")["model"]}
    return judge(sys.executable, folder, protocol, transformers, files).with_columns(
        right=pl.Series(repeated(right, protocol))
    )


def repeated(values, protocol):
    return [value for value in values for _ in range(2 if protocol == "arena_hard" else 1)]


def judge(python, folder, protocol, model, files):
    """Run the script and return its judgments."""
    arguments = {
        "protocol": protocol,
        "judge": json.dumps(NAMES | model),
        "sampling": json.dumps({"max_new_tokens": 12}),
        "template": ROOT / f"config/miniature/judge_{protocol}.txt",
        "api": json.dumps(API),
        **files,
        "store": folder / "rows",
        "pairs": "x/t",
        "outputs": folder / "judgments.parquet",
    }
    command = [python, "-m", "scripts.judgments.judge_pairs"]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-3000:]
    return pl.read_parquet(arguments["outputs"])


def test_the_judge_prefers_right_answers_with_both_protocols(tmp_path):
    for protocol in ("alpaca_eval", "arena_hard"):
        (tmp_path / protocol).mkdir()
        rows = judge_right_and_damaged(tmp_path / protocol, protocol).to_dicts()
        prefers = preference if protocol == "alpaca_eval" else points
        agrees = [(prefers(row) > 0.5) == row["right"] for row in rows if prefers(row) not in (0.5, None)]
        print(f"{protocol}: right in {sum(agrees)} of {len(agrees)} comparisons of a right answer and a damaged one")
        assert sum(agrees) / len(agrees) > 0.58  # 0.79 and 0.81 were measured


def points(row):
    """1 if the judge of a game prefers the model, 0 if it prefers the baseline, None without a verdict."""
    label = re.findall(
        r"\[\[(A>>B|A>B|A=B|B>A|B>>A)\]\]", row["text"] or "[[A=B]]"
    )  # the judge does not see identical answers
    if not label:
        return None
    first = {"A>>B": 1, "A>B": 1, "A=B": 0.5, "B>A": 0, "B>>A": 0}[label[0]]
    return first if row["game"] == 2 else 1 - first


def test_win_rates_of_the_one_token_judge_follow_from_its_output():
    rows = judgments("compared").to_dicts()
    assert {row["n_tokens"] for row in rows if not row["decided"]} == {1}
    for teacher, score in scores("compared").items():
        mine = [preference(row) for row in rows if row["teacher"] == teacher]
        assert score["wr"]["value"] == pytest.approx(100 * sum(mine) / len(mine), abs=1e-9)
        assert (score["n"], score["n_unparsed"], score["judge"]) == (300, 0, "pairwise")
        low, high = score["length_only"]["ci"]
        assert low < score["length_only"]["value"] < high and "lc" not in score


def test_win_rates_of_games_follow_from_the_verdicts():
    sums = {}
    for row in judgments("games").to_dicts():
        strength = 3 if re.search("A>>B|B>>A", row["text"] or "") else 1
        if points(row) is not None:
            wins, weight = sums.get(row["teacher"], (0, 0))
            sums[row["teacher"]] = (wins + strength * points(row), weight + strength)
    for teacher, score in scores("games").items():
        assert score["wr"]["value"] == pytest.approx(100 * sums[teacher][0] / sums[teacher][1], abs=1e-9)
        assert score["n"] == 300 and score["n_unparsed"] <= 12


def test_the_reward_model_as_judge_prefers_the_answer_with_the_higher_reward():
    rows = judgments("liked")
    margin = rows["reward"] - rows["baseline_reward"]
    assert rows["preference"].to_list() == [1.0 if m > 0 else 0.0 if m < 0 else 0.5 for m in margin]
    assert rows["preference"].n_unique() > 1


def test_the_average_performance_names_its_judge():
    with open(RESULTS / "tables/performance.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert float(row["ap"]) == pytest.approx((float(row["compared.length_only"]) + float(row["games.wr"])) / 2)
            assert row["judged_by"] == "pairwise"


@pytest.mark.parametrize("benchmark, protocol", [("compared", "alpaca_eval"), ("games", "arena_hard")])
def test_the_judge_gives_the_same_output_on_vllm_and_on_transformers(tmp_path, benchmark, protocol):
    pair = "alpha/terse-large.parquet"
    files = {
        name: RESULTS / f"{name if name == 'prompts' else 'baselines'}/{benchmark}.parquet"
        for name in ("prompts", "baseline")
    }
    got = judge(
        PYTHON, tmp_path, protocol, vllm("pairwise"), files | {"answers": RESULTS / f"answers/{benchmark}/{pair}"}
    )
    expected = pl.read_parquet(RESULTS / f"judgments/{benchmark}/{pair}")
    assert got.drop("text", "logprobs").equals(expected.drop("text", "logprobs"))
    same = (got["text"] == expected["text"]).sum() / got["text"].count()
    print(f"equal outputs of the judge: {same:.2%}")
    assert same >= 0.99
    if protocol == "alpaca_eval":
        mine, theirs = ([preference(row) for row in frame.to_dicts()] for frame in (got, expected))
        assert mine == pytest.approx(theirs, abs=1e-3) and len(set(mine)) > 100
