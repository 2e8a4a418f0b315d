"""A study from its tables to AP with a benchmark of every kind, and a judge on an endpoint that thinks first.

The judge has the protocols label, arena_hard_v2 and grade; reference answers, lm_eval and a table give other scores.
"""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
import yaml

from conftest import link_workflow
from fault_server import FaultServer, Handler
from scripts.tables.files import read_csv
from test_lm_eval import MISSING, PYTHON

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON.with_name("lm_eval").exists(), reason=MISSING)]

TEACHERS = ["brief", "verbose"]
CATEGORIES = ["hard", "creative"]
N = 12  # prompts of each category
GRADED = 6  # prompts, each of three turns
OUTSIDE = {"brief": (40.0, 2.0), "verbose": (52.5, 1.5)}  # measured elsewhere: value and standard error
TASK = {
    "task": "quiz",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "my_tasks/quiz.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "answer",
}
AP = ["words.wr", "hard.style_controlled", "creative.wr", "graded.grade", "graded.turn_3", "right.wr"]
AP += ["tasks.quiz:acc", "outside.rating"]
NUMBER = "is ([0-9]+)"
ANSWERS = re.compile(r"# Answer of assistant A\n\n(.*?)\n\n# Answer of assistant B\n\n(.*?)(?=\n\n# Your task|$)", re.S)


class ThinkingJudge(Handler):
    """It prefers the longer answer, or else the second one, after thinking the opposite. The grade is grade_of.

    For one prompt its thinking does not end until it is asked to finish.
    """

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = [message["content"] for message in body["messages"] if message["role"] == "user"]
        with self.server.lock:
            self.server.bodies.append(body)
        if found := ANSWERS.search(asked[0]):
            lengths = [len(answer.strip()) for answer in found.groups()]
            better, other = ("A", "B") if lengths[0] > lengths[1] else ("B", "A")
            draft = f"[[{other}>>{better}]]"
            verdict = better if "one word" in asked[-1] else f"My verdict: [[{better}>{other}]]"
        else:
            answer = asked[0].rpartition("# The assistant's answer\n\n")[2]
            draft, verdict = "[[10]]", f"It is short. Rating: [[{grade_of(answer)}]]"
        if "Prompt 3 " in asked[0] and len(asked) == 1:
            return self.answer("", f"<think>Perhaps {draft} or", "length")
        self.answer("", f"<think>Perhaps {draft}?</think>\n\n{verdict}")


def grade_of(answer):
    return 1 + len(answer.strip()) % 9


def write_lines(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_tables(root):
    """What the configuration names: responses, prompts, baselines, a task of lm_eval, scores that others measured."""
    names = [f"Prompt {i} of hard: go" for i in range(N)]
    write_lines(root / "asked.jsonl", [{"q": name} for name in names])
    for teacher, number, times in (("brief", 6, 1), ("verbose", N, 3)):
        texts = [f"- it is {i % number}\n" * (1 + i % times) for i in range(N)]
        write_lines(
            root / f"{teacher}.jsonl", [{"q": name, "a": text} for name, text in zip(names, texts, strict=True)]
        )
    for c in CATEGORIES:
        write_lines(root / f"{c}.jsonl", [{"id": f"{c}{i}", "a": f"It is {i}. " * (1 + i % 4)} for i in range(N)])
    prompts = [{"id": f"{c}{i}", "q": f"Prompt {i} of {c}: go", "category": c} for c in CATEGORIES for i in range(N)]
    write_lines(root / "prompts.jsonl", [prompt | {"r": str(i % 6)} for i, prompt in enumerate(prompts)])
    turns = [[f"Prompt {i} of turns: go", "And then?", "At last?"] for i in range(GRADED)]
    write_lines(root / "turns.jsonl", [{"id": f"t{i}", "turns": texts} for i, texts in enumerate(turns)])
    (root / "my_tasks").mkdir()
    (root / "my_tasks/quiz.yaml").write_text(yaml.safe_dump(TASK), encoding="utf-8")
    choices = [f"- it is {i}" for i in range(3)]
    quiz = [{"question": name, "choices": choices, "answer": i % 3} for i, name in enumerate(names)]
    write_lines(root / "my_tasks/quiz.jsonl", quiz)
    rows = [f"base,{teacher},{value},{error}\n" for teacher, (value, error) in OUTSIDE.items()]
    (root / "scores.csv").write_text("base,teacher,rating,error\n" + "".join(rows), encoding="utf-8")


def benchmarks():
    """One of every kind."""

    def answered(category, **more):
        columns = {"id": "id", "instruction": "q"} | more.pop("columns", {})
        prompts = {"path": "prompts.jsonl", "columns": columns, "match": {"category": category}}
        baseline = {"path": f"{category}.jsonl", "columns": {"id": "id", "response": "a"}}
        return {"prompts": prompts, "baseline_answers": baseline, "sampling": {"max_new_tokens": 40}} | more

    template = {"judge_template": "config/judges/arena_hard_v2_creative.txt"}
    graded = {"path": "turns.jsonl", "columns": {"id": "id", "user_turns": "turns"}}
    outside = {"scores": {"rating": "rating"}, "errors": {"rating": "error"}}
    return {
        "hard": answered("hard", protocol="arena_hard_v2", judge="thinker"),
        "creative": answered("creative", protocol="arena_hard_v2", judge="thinker", **template),
        "words": answered("hard", protocol="label", judge="thinker"),
        "right": answered("hard", protocol="exact", answer_pattern=NUMBER, columns={"reference": "r"}),
        "graded": {"prompts": graded, "protocol": "grade", "judge": "thinker", "sampling": {"max_new_tokens": 40}},
        "tasks": {"protocol": "lm_eval", "tasks": ["quiz"], "include_path": "my_tasks"},
        "outside": {"scores": {"path": "scores.csv", "columns": outside}},
    }


@pytest.fixture(scope="module")
def finished(tiny, tiny_reward_model, tmp_path_factory):
    """The results of a study of two teachers, and the requests that the judge got.

    All of it runs in the environment of lm_eval, where all other packages are, too.
    """
    root, server = link_workflow(tmp_path_factory.mktemp("thinking")), FaultServer(ThinkingJudge)
    shutil.copytree(tiny, root / "base")
    shutil.copytree(tiny_reward_model, root / "reward")
    write_tables(root)
    endpoint = {"base_url": server.url, "api_key_env": None}
    columns = {"instruction": "q", "response": "a"}
    config = {
        "study": "thinking",
        "instructions": {"path": "asked.jsonl", "columns": {"instruction": "q"}, "n": N},
        "teachers": {t: {"import": {"path": f"{t}.jsonl", "columns": columns}} for t in TEACHERS},
        "bases": {"base": {"model": "./base", "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"reward": {"model": "./reward", "gpus": 0}},
        "car": {"reward_model": "reward", "transform": "sigmoid"},
        "finetune": {"epochs": 80, "learning_rate": 0.01, "warmup_steps": 5, "batch_size": 4, "max_length": 256},
        "judges": {
            "thinker": {"model": "m", "engine": "openai", "openai": endpoint, "gpus": 0, "reasoning": "separate"}
        },
        "benchmarks": benchmarks(),
        "ap": AP,
    }
    (root / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "FORK_SERVER"}  # of another environment
    environment |= {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [PYTHON, "-m", "snakemake", "--cores", "2", "--configfile", "mine.yaml"],
        cwd=root,
        env=environment | {"HF_DATASETS_CACHE": str(root / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server.shutdown()
    assert done.returncode == 0, done.stdout[-5000:]
    return root / "results/thinking", server.bodies


def score_of(results, benchmark, teacher):
    return json.loads((results / f"scores/{benchmark}/base/{teacher}.json").read_text(encoding="utf-8"))


def answers_of(results, benchmark, teacher):
    """The model's and the baseline's answer to each prompt, without white space at the ends."""
    mine = pl.read_parquet(results / f"answers/{benchmark}/base/{teacher}.parquet").select("id", "answer")
    theirs = pl.read_parquet(results / f"baselines/{benchmark}.parquet").select("id", baseline="answer")
    both = mine.join(theirs, on="id").with_columns(pl.col("answer", "baseline").str.strip_chars().fill_null(""))
    assert both.height == N
    return both.select("answer", "baseline").rows()


def points(answer, baseline):
    """What the model gets of a judge that prefers the longer answer, or else the second one, over both orders."""
    return (np.sign(len(answer) - len(baseline)) + 1) / 2


def win_rate(results, benchmark, teacher):
    """Value and standard error of a win rate over prompts, with an empty answer as a strong loss in Arena-Hard."""
    answers = answers_of(results, benchmark, teacher)
    wins = np.array([points(*pair) for pair in answers])
    weights = np.array([3 if not answer and benchmark != "words" else 1 for answer, _ in answers])
    rate = (weights * wins).sum() / weights.sum()
    if benchmark == "words":
        return 100 * rate, 100 * wins.std(ddof=1) / N**0.5
    return 100 * rate, 100 * ((weights * (wins - rate)) ** 2).sum() ** 0.5 / weights.sum()  # of a ratio of sums


def grades_of(results, teacher):
    """The grades of all prompts, shape (prompts, turns); an answer that there is not has 1."""
    answers = pl.read_parquet(results / f"answers/graded/base/{teacher}.parquet").sort("id", "turn")
    assert answers["turn"].to_list() == [1, 2, 3] * GRADED
    return np.array([grade_of(text) if (text or "").strip() else 1 for text in answers["answer"]]).reshape(GRADED, 3)


def preferences_of(results, teacher):
    """1 if only the model is right, 0 if only the baseline is, else half."""
    references = dict(pl.read_parquet(results / "prompts/right.parquet").select("id", "reference").rows())
    order = pl.read_parquet(results / f"answers/right/base/{teacher}.parquet")["id"]
    values = []
    for key, texts in zip(order, answers_of(results, "right", teacher), strict=True):
        right = [re.findall(NUMBER, text)[-1:] == [references[key]] for text in texts]
        values.append(0.5 + (right[0] - right[1]) / 2)
    return np.array(values)


def accuracy(results, teacher):
    """Value and standard error of the task: the right choice has the highest likelihood."""
    samples = pl.read_parquet(results / f"evaluations/tasks/base/{teacher}.parquet").sort("doc")
    likelihoods = [[choice[0] for choice in json.loads(cell)] for cell in samples["answer"]]
    right = [np.argmax(row) == i % 3 for i, row in enumerate(likelihoods)]
    share = sum(right) / N
    return 100 * share, 100 * (share * (1 - share) / (N - 1)) ** 0.5


def mean_and_error(values, scale):
    return scale * values.mean(), scale * values.std(ddof=1) / len(values) ** 0.5


def by_hand(results, teacher):
    """Score to value and standard error; that of style control, which is no mean, from its file."""
    controlled = score_of(results, "hard", teacher)["style_controlled"]
    grades = grades_of(results, teacher)
    return {
        "words.wr": win_rate(results, "words", teacher),
        "hard.style_controlled": (controlled["value"], controlled["se"]),
        "creative.wr": win_rate(results, "creative", teacher),
        "graded.grade": mean_and_error(grades.mean(1), 10),
        "graded.turn_3": mean_and_error(grades[:, 2], 10),
        "right.wr": mean_and_error(preferences_of(results, teacher), 100),
        "tasks.quiz:acc": accuracy(results, teacher),
        "outside.rating": OUTSIDE[teacher],
    }


def test_the_two_fine_tuned_models_answer_differently_and_have_different_scores(finished):
    results, _ = finished
    for teacher in TEACHERS:
        assert json.loads((results / f"checkpoints/base/{teacher}/manifest.json").read_text(encoding="utf-8"))
    brief, verbose = ([answer for answer, _ in answers_of(results, "hard", teacher)] for teacher in TEACHERS)
    assert sum(map(len, brief)) < sum(map(len, verbose))
    assert all(sum("it is" in answer for answer in answers) > N / 2 for answers in (brief, verbose))  # as in training
    brief, verbose = (by_hand(results, teacher) for teacher in TEACHERS)
    assert sum(brief[name][0] != verbose[name][0] for name in AP) > len(AP) / 2


@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("benchmark", ["words", "hard", "creative"])
def test_the_win_rate_is_that_of_the_judges_verdicts_and_not_of_its_thinking(finished, benchmark, teacher):
    results, _ = finished
    score = score_of(results, benchmark, teacher)
    value, error = win_rate(results, benchmark, teacher)
    assert score["wr"]["value"] == pytest.approx(value)
    assert score["wr"]["se"] == pytest.approx(error, rel=0.1)  # of resamples
    judged = pl.read_parquet(results / f"judgments/{benchmark}/base/{teacher}.parquet")
    asked = judged.filter(pl.col("decided").is_null())
    pairs = [pair for pair in answers_of(results, benchmark, teacher) if pair[0] and pair[0] != pair[1]]
    assert asked.height == 2 * len(pairs) and (score["n"], score["n_unparsed"]) == (N, 0)
    assert score["orders_agree"] == pytest.approx(np.mean([len(mine) != len(other) for mine, other in pairs]))
    again = asked.filter(pl.col("second_text").is_not_null())
    assert again["id"].unique().to_list() in ([], [f"{benchmark}3"], ["hard3"])
    assert again["text"].str.starts_with("<think>").all()
    at_once = asked.filter(pl.col("second_text").is_null())
    assert at_once["reasoning"].str.starts_with("Perhaps [[").all() and not at_once["text"].str.contains("think").any()


@pytest.mark.parametrize("teacher", TEACHERS)
def test_each_of_three_turns_has_the_grade_of_the_judge(finished, teacher):
    results, bodies = finished
    score, grades = score_of(results, "graded", teacher), grades_of(results, teacher)
    for turn in range(3):
        assert score[f"turn_{turn + 1}"]["value"] == pytest.approx(10 * grades[:, turn].mean())
    assert score["grade"]["value"] == pytest.approx(10 * grades.mean()) and score["n_unparsed"] == 0
    answers = pl.read_parquet(results / f"answers/graded/base/{teacher}.parquet").pivot(
        "turn", index="id", values="answer"
    )
    graded = [body["messages"][-1]["content"] for body in bodies]
    shown = [f"assistant: {row['1']}\n\nuser: And then?" for row in answers.to_dicts() if row["2"]]
    assert shown and all(any(text in content for content in graded) for text in shown)


def test_each_category_has_its_own_prompts_baseline_and_template(finished):
    results, bodies = finished
    for category in CATEGORIES:
        ids = pl.read_parquet(results / f"prompts/{category}.parquet")["id"].to_list()
        assert set(ids) == {f"{category}{i}" for i in range(N)}
        assert score_of(results, category, "brief")["baseline"] == f"{category}.jsonl"
    creative = [body["messages"][0]["content"] for body in bodies if "of creative" in body["messages"][1]["content"]]
    assert creative and not any("your own answer" in text for text in creative)


def test_ap_and_its_error_are_those_of_scores_of_every_kind(finished):
    results, _ = finished
    table = read_csv(results / "tables/performance.csv")
    assert sorted(table["teacher"]) == TEACHERS
    assert table["judged_by"].unique().to_list() == ["exact, lm_eval, scores.csv, thinker"]
    for row in table.to_dicts():
        expected = by_hand(results, row["teacher"])
        for name, (value, error) in expected.items():
            assert row[name] == pytest.approx(value, abs=1e-6), name
            assert row[f"{name}.se"] == pytest.approx(error, rel=0.1), name
        assert row["ap"] == pytest.approx(np.mean([value for value, _ in expected.values()]))
        errors = {name: row[f"{name}.se"] for name in AP}
        both = errors.pop("graded.grade") + errors.pop("graded.turn_3")  # of the same judgments
        assert row["ap_se"] == pytest.approx((both**2 + sum(x**2 for x in errors.values())) ** 0.5 / len(AP))
        assert row["ap_margin"] == pytest.approx(1.96 * row["ap_se"])
    assert "quiz:acc" in (results / "report.html").read_text(encoding="utf-8")


def test_the_difference_of_two_teachers_pairs_the_prompts_that_have_values(finished):
    results, _ = finished
    (row,) = read_csv(results / "tables/ap_differences.csv").to_dicts()
    brief, verbose = (by_hand(results, teacher) for teacher in TEACHERS)
    ap = [np.mean([value for value, _ in scores.values()]) for scores in (brief, verbose)]
    assert (row["teacher_a"], row["teacher_b"], row["paired"]) == ("brief", "verbose", False)
    assert row["difference"] == pytest.approx(ap[0] - ap[1], abs=1e-6)
    grades = [grades_of(results, teacher) for teacher in TEACHERS]
    graded = 10 * (grades[0] - grades[1]) @ np.array([1 / 3, 1 / 3, 4 / 3])  # the mean of the turns, and the third one
    right = 100 * (preferences_of(results, "brief") - preferences_of(results, "verbose"))
    squares = [graded.var() / GRADED, right.var() / N]
    alone = ["words.wr", "hard.style_controlled", "creative.wr", "tasks.quiz:acc", "outside.rating"]
    squares += [scores[name][1] ** 2 for scores in (brief, verbose) for name in alone]
    assert row["se"] == pytest.approx(sum(squares) ** 0.5 / len(AP), rel=0.05)


def test_the_tables_of_metrics_are_those_of_this_ap(finished):
    results, _ = finished
    table = read_csv(results / "tables/performance.csv").sort("ap", descending=True)
    cars = dict(read_csv(results / "tables/teachers.csv").select("teacher", "car").rows())
    first, second = table["teacher"]
    rho = read_csv(results / "tables/correlations.csv").filter(base="base", metric="car")["rho"].item()
    assert rho == np.sign(cars[first] - cars[second])
    (conclusion,) = read_csv(results / "tables/conclusions.csv")["conclusion"]
    assert f"The highest AP is that of {first} ({table['ap'][0]:.1f})" in conclusion
