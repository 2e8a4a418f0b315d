"""Tasks of lm_eval without lm_eval: which are refused, what their numbers become, and AP of scores of every kind."""

import json
import re
import sys

import polars as pl
import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.correlations import average_performance, compare_ap, correlate_metrics
from scripts.metrics.definitions import METRICS
from scripts.scores import import_scores, score_judgments
from scripts.tables.files import read_csv, write_table
from scripts.tasks import check_tasks, score_tasks
from scripts.tasks.known_tasks import are_own, leaves, scores_of_task, wrong_task

ACC = {"metric": "acc", "aggregation": "mean", "higher_is_better": True}
CONFIGS = {
    "plain": {"task": "plain", "metric_list": [ACC, {"metric": "ppl", "higher_is_better": False}]},
    "filtered": {"task": "filtered", "metric_list": [{"metric": "em"}], "filter_list": [{"name": "a"}, {"name": "b"}]},
    "own": {"task": "own", "metric_list": [{"metric": "/folder/utils.mine"}]},
    "usual": {"task": "usual", "output_type": "multiple_choice"},
    "unsafe": {"task": "unsafe", "unsafe_code": True, "metric_list": [ACC]},
    "remote": {"task": "remote", "dataset_kwargs": {"trust_remote_code": True}},
    "mean": {"group": "mean", "task": ["plain", "some"], "aggregate_metric_list": [{"metric": "acc"}]},
    "list": {"group": "list", "task": ["plain", {"task": "usual", "num_fewshot": 2}]},
    "outer": {"group": "outer", "task": [{"group": "mean"}, "remote"], "aggregate_metric_list": {"metric": "acc"}},
}
TAGS = {"some": ["own", "usual"]}


@pytest.mark.parametrize(
    "task, line",
    [
        ("plain", None),
        ("usual", None),
        ("mean", None),
        ("plian", "there is no task plian (did you mean plain?)"),
        ("some", "some is the name of several tasks and has no score of its own: name them: own, usual"),
        ("list", "list has no score of its own: name its tasks: plain, usual"),
        ("unsafe", "unsafe runs code that the model writes, which this workflow never does: leave it out"),
        ("outer", "remote needs Python code from its data set, which this workflow never runs: leave it out"),
    ],
)
def test_a_task_that_cannot_be_evaluated_is_refused_with_what_to_do(task, line):
    assert wrong_task(task, CONFIGS, TAGS) == line


def test_groups_and_tags_are_their_tasks_and_scores_are_named_by_task_metric_and_filter():
    assert list(leaves("outer", CONFIGS, TAGS)) == ["plain", "own", "usual", "remote"]
    assert leaves("list", CONFIGS, TAGS)["usual"]["num_fewshot"] == 2
    assert scores_of_task("plain", CONFIGS) == ["plain:acc"]  # less perplexity is better: no score
    assert scores_of_task("filtered", CONFIGS) == ["filtered:em:a", "filtered:em:b"]
    assert scores_of_task("own", CONFIGS) == ["own:mine"] and scores_of_task("mean", CONFIGS) == ["mean:acc"]
    assert scores_of_task("usual", CONFIGS) is None


@pytest.mark.parametrize(
    "names, own",
    [
        (["plain", "usual"], True),
        (["list"], True),
        (["gsm8k"], False),
        (["plain", "mean"], False),  # a part of it has the tag `some`, which tasks of lm_eval may have, too
        (["outer"], False),
        (["some"], False),
        (["nested"], False),
    ],
)
def test_the_tasks_of_lm_eval_are_read_unless_all_tasks_and_their_parts_are_own(names, own):
    nested = {"group": "nested", "task": [{"group": "new", "task": ["plain"]}]}
    assert are_own(names, CONFIGS | {"nested": nested}, TAGS) is own


def test_a_score_under_ap_that_a_task_does_not_have_is_named_with_those_that_it_has():
    ap = ["k.plain:acc", "k.filtered:em", "k.usual:anything", "other.plain:x"]
    assert check_tasks.wrong_scores("k", ap, CONFIGS) == [
        "ap: there is no score k.filtered:em; the task has k.filtered:em:a, k.filtered:em:b"
    ]


def test_one_study_has_benchmarks_of_every_kind_and_trains_each_pair_once(tmp_path):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config["benchmarks"]["k"] = {"protocol": "lm_eval", "tasks": ["gsm8k", "mmlu"]}
    config["benchmarks"]["paper"] = {"scores": {"path": "scores.csv", "columns": {"scores": {"wr": "wr"}}}}
    config["ap"] = ["held_out.wr", "k.mmlu:acc", "paper.wr"]
    root = link_workflow(tmp_path)
    (root / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (root / "scores.csv").write_text("base,teacher,wr\n", encoding="utf-8")
    done = snakemake("-n", "--configfile", "mine.yaml", cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.M)}
    assert jobs["finetune"] == jobs["answer_benchmark"] == jobs["evaluate_tasks"] == 2 * 13  # twelve teachers and a mix
    once = ["check_tasks", "import_scores", "score_tasks", "score_judgments", "average_performance", "prepare_prompts"]
    assert {name: jobs[name] for name in once} == dict.fromkeys(once, 1)


def run(script, monkeypatch, **given):
    words = [str(word) for name, value in given.items() for word in (f"--{name.replace('_', '-')}", *value)]
    monkeypatch.setattr("sys.argv", ["x", *words])
    script.main()


def test_without_lm_eval_the_check_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    benchmarks = json.dumps({"k": {"tasks": ["gsm8k"], "include_path": str(tmp_path)}})
    with pytest.raises(
        SystemExit, match=r"needs lm-evaluation-harness, which is not here: .*--sdm conda.* pip install"
    ):
        run(check_tasks, monkeypatch, benchmarks=[benchmarks], output=[tmp_path / "tasks.json"])
    assert not (tmp_path / "tasks.json").exists()


def evaluation(task="quiz", acc=0.25, error=0.125, better=True):
    """The file of one pair, with a task of two metrics, one of which is no score."""
    results = {"name": task, "sample_len": 13, "acc,none": acc, "acc_stderr,none": error, "em,first": acc / 2}
    results |= {"em_stderr,first": "N/A", "ppl,none": 7.5, "ppl_stderr,none": "N/A"}
    numbers = {"results": {task: results}, "higher_is_better": {task: {"acc": better, "em": better, "ppl": False}}}
    numbers |= {"n-samples": {task: {"original": 20, "effective": 13}}, "n-shot": {task: 5}, "versions": {task: 1}}
    return {"lm_eval": "0.4.13", "tasks": {task: numbers}}


def scored(folder, monkeypatch, evaluations, scale=100):
    """The scores that the script writes, by teacher."""
    for teacher, found in evaluations.items():
        (folder / f"{teacher}-numbers.json").write_text(json.dumps(found), encoding="utf-8")
    files = {"evaluations": [folder / f"{name}-numbers.json" for name in evaluations]}
    files |= {"outputs": [folder / f"{name}-tasks.json" for name in evaluations]}
    run(score_tasks, monkeypatch, benchmark=["k"], pairs=[f"b/{n}" for n in evaluations], scale=[scale], **files)
    return {name: json.loads((folder / f"{name}-tasks.json").read_text(encoding="utf-8")) for name in evaluations}


def test_numbers_of_lm_eval_become_percentages_with_its_errors(tmp_path, monkeypatch):
    got = scored(tmp_path, monkeypatch, {"x": evaluation(), "y": {"reason": "not_trained"}})
    assert got["x"]["quiz:acc"] == {"value": 25, "se": 12.5, "ci": [0.5, 49.5]}  # 25 -+ 1.96 x 12.5
    assert got["x"]["quiz:em:first"] == {"value": 12.5, "se": None, "ci": None}
    assert (got["x"]["n"], got["x"]["n_shot"], got["x"]["lm_eval"]) == ({"quiz": 13}, {"quiz": 5}, "0.4.13")
    assert not [name for name in got["x"] if "ppl" in name or "stderr" in name]
    assert got["y"]["quiz:acc"] == {"value": None, "se": None, "ci": None} and got["y"]["reason"] == "not_trained"
    assert {score["judge"] for score in got.values()} == {"lm_eval"} and got["x"]["baseline"] is None


def test_numbers_that_are_no_shares_are_refused_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"benchmarks.k.scale: .* above 100: quiz:acc, quiz:em:first: .*`scale: 1`"):
        scored(tmp_path, monkeypatch, {"x": evaluation(acc=23.5), "y": evaluation(acc=0.5)})
    got = scored(tmp_path, monkeypatch, {"x": evaluation(acc=23.5), "y": evaluation(acc=0.5)}, scale=1)
    assert [got[name]["quiz:acc"]["value"] for name in "xy"] == [23.5, 0.5]


TEACHERS = "wxyz"
LEFT = {"w": 60.0, "x": 50.0, "y": 40.0, "z": 30.0}  # win rates of a judge
RIGHT = {"w": 8, "x": 4, "y": 6, "z": 0}  # right answers of 8
SHARES = {"w": 0.5, "x": 0.25, "y": 0.75, "z": 0.125}  # of lm_eval
TABLE = {"w": 10.0, "x": 70.0, "y": 30.0, "z": 20.0}  # measured elsewhere


def test_ap_is_the_mean_of_judged_exact_lm_eval_and_external_scores(tmp_path, monkeypatch):
    paths = []
    for teacher in TEACHERS:
        names = {"benchmark": "arena", "base": "b", "teacher": teacher, "baseline": "gpt", "judge": "j"}
        paths.append(tmp_path / f"{teacher}-arena.json")
        wr = {"value": LEFT[teacher], "se": 2.0, "ci": [0, 100]}
        paths[-1].write_text(json.dumps(names | {"wr": wr, "computed_from": {"judge": "1"}}), encoding="utf-8")
        rows = {"id": [str(i) for i in range(8)], "benchmark": "exact", "base": "b", "teacher": teacher}
        correct = [i < RIGHT[teacher] for i in range(8)]
        rows |= {"correct": correct, "preference": [float(right) for right in correct], "reason": None}
        judgments = pl.DataFrame(rows, schema_overrides={"reason": pl.String})
        write_table(judgments, tmp_path / f"{teacher}-exact.parquet")
    files = {"judgments": [tmp_path / f"{teacher}-exact.parquet" for teacher in TEACHERS]}
    exact = [tmp_path / f"{teacher}-exact.json" for teacher in TEACHERS]
    pairs = [f"b/{teacher}" for teacher in TEACHERS]
    words = {"benchmark": ["exact"], "pairs": pairs, "baseline": ["w"], "judge": ["exact"]}
    run(score_judgments, monkeypatch, **words, **files, outputs=exact)
    scored(tmp_path, monkeypatch, {name: evaluation(acc=SHARES[name], error=0.03) for name in TEACHERS})
    table = tmp_path / "scores.csv"
    cells = "".join(f"b,{teacher},{score},3\n" for teacher, score in TABLE.items())
    table.write_text(f"base,teacher,rating,error\n{cells}", encoding="utf-8")
    columns = {"base": "base", "teacher": "teacher", "scores": {"rating": "rating"}, "errors": {"rating": "error"}}
    external = [tmp_path / f"{teacher}-external.json" for teacher in TEACHERS]
    words = {"benchmark": ["external"], "columns": [json.dumps(columns)], "pairs": pairs, "compared": TEACHERS}
    run(import_scores, monkeypatch, **words, scores=[table], outputs=external)

    paths += [*exact, *external, *(tmp_path / f"{teacher}-tasks.json" for teacher in TEACHERS)]
    ap = ["arena.wr", "exact.accuracy", "k.quiz:acc", "external.rating"]
    output = tmp_path / "performance.csv"
    run(average_performance, monkeypatch, ap=ap, treatments=['{"b": "full"}'], scores=paths, output=[output])
    performance = read_csv(output)
    # w: (60 + 100 + 50 + 10) / 4; x: (50 + 50 + 25 + 70) / 4; y: (40 + 75 + 75 + 30) / 4; z: (30 + 0 + 12.5 + 20) / 4
    expected = {"w": 55.0, "x": 48.75, "y": 55.0, "z": 15.625}
    assert dict(performance.select("teacher", "ap").rows()) == expected
    assert performance["judged_by"].unique().to_list() == [f"{table}, exact, j, lm_eval"]
    assert performance["note"].null_count() == 4
    of_w = performance.filter(teacher="w")["ap_se"].item()
    assert of_w == pytest.approx((2**2 + 0**2 + 3**2 + 3**2) ** 0.5 / 4)  # all answers of w are right: no error

    run(compare_ap, monkeypatch, ap=ap, performance=[output], **files, output=[tmp_path / "differences.csv"])
    difference = read_csv(tmp_path / "differences.csv").filter(teacher_a="w", teacher_b="z").to_dicts()[0]
    assert difference["difference"] == 55 - 15.625 and not difference["paired"]
    assert difference["se"] == pytest.approx((2 * (2**2 + 3**2 + 3**2)) ** 0.5 / 4)  # w is right where z is wrong

    car = pl.DataFrame({"base": "b", "teacher": list(TEACHERS), "rank": [2, 3, 1, 4], "car": [2.0, 1.0, 3.0, 0.5]})
    others = [pl.lit(1.0).alias(name) for name in ["reward:r", "sigmoid:r", *METRICS]]
    car.with_columns(others).write_csv(tmp_path / "teachers.csv")
    files = {"teachers": [tmp_path / "teachers.csv"], "performance": [output]}
    run(correlate_metrics, monkeypatch, **files, output=[tmp_path / "correlations.csv"])
    rho = read_csv(tmp_path / "correlations.csv").filter(base="b", metric="car")["rho"].item()
    # ranks of AP 3.5 2 3.5 1, of CAR 3 2 4 1: covariance 4.5, variances 4.5 and 5
    assert rho == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
