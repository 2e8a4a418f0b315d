"""Several training runs of a pair: the error of their mean, and the jobs that a seed adds."""

import json
import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.correlations import average_performance, compare_ap, draw_conclusions
from scripts.correlations.ap_errors import margin, variance_of_prompts, variance_of_seeds
from scripts.correlations.average_performance import average
from scripts.correlations.compare_ap import compare
from scripts.correlations.draw_conclusions import about_runs
from scripts.correlations.prompt_values import covariance_of_means, values_of_prompts
from scripts.tables.files import read_csv

COVERAGE, STUDIES, PROMPTS = (0.93, 0.97), 600, 60


def test_the_variance_of_seeds_is_pooled_over_the_students_of_a_base():
    # (2 x 1^2 + 1 x 2^2) / 3; a student with one run, and one without any, say nothing
    assert variance_of_seeds([3, 2, 1, 0, None], [1.0, 2.0, None, None, None]) == (2, 3)
    assert variance_of_seeds([1, 1], [None, None]) == (0, 0)


def test_the_variance_of_prompts_is_what_runs_have_in_common():
    assert variance_of_prompts(np.array([[5.0]]), 1) == 5  # a single run: its whole error over prompts
    one = np.array([[6.0, 1.0, 2.0], [1.0, 8.0, 3.0], [2.0, 3.0, 4.0]])
    assert variance_of_prompts(one, 3) == 2  # (1 + 2 + 3) / 3, without the diagonal
    two = np.array([[6.0, 3.0, 1.0, 2.0], [3.0, 8.0, 2.0, 1.0], [1.0, 2.0, 9.0, 4.0], [2.0, 1.0, 4.0, 7.0]])
    assert variance_of_prompts(two, 2) == 3 + 4 - 2 * 1.5
    assert variance_of_prompts(two[:2, :2] * [[1, -1], [-1, 1]], 2) == 0  # never negative


def test_the_interval_has_the_quantile_of_students_t():
    assert margin(4.0, 0.0, 0) == 1.96 * 2  # one run each
    assert margin(0.0, 4.0, 1) == pytest.approx(12.706 * 2, rel=1e-4)  # only seeds, and two runs of one student
    assert margin(2.0, 2.0, 1) == pytest.approx(2.776 * 2, rel=1e-3)  # half and half: 4^2 / (2^2 / 1) = 4 degrees
    assert margin(0.0, 4.0, 10) == pytest.approx(2.228 * 2, rel=1e-3)


def drawn_studies(rng, runs, teachers=6, seed=4.0, prompt=20.0, rest=25.0):
    """Values (teachers, runs, prompts) of students that are equally good: their true AP is 0."""
    of_prompts = prompt * (rng.normal(size=PROMPTS) + rng.normal(size=(teachers, 1, PROMPTS))) / 2**0.5
    return of_prompts + seed * rng.normal(size=(teachers, runs, 1)) + rest * rng.normal(size=(teachers, runs, PROMPTS))


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_simulated_intervals_of_ap_and_of_its_differences_cover_the_truth(runs):
    rng, covered = np.random.default_rng(runs), {"ap": [], "difference": [], "without seeds": []}
    for _ in range(STUDIES):
        values = drawn_studies(rng, runs)
        means = values.mean(2)
        variance, freedom = variance_of_seeds([runs] * len(values), means.std(1, ddof=1).tolist())
        of_two = np.cov(np.concatenate([values[0], values[1]])) / PROMPTS
        prompts = variance_of_prompts(of_two[:runs, :runs], runs)
        covered["ap"].append(abs(means[0].mean()) <= margin(prompts, variance / runs, freedom))
        covered["without seeds"].append(abs(means[0].mean()) <= margin(prompts, 0.0, 0))
        half = margin(variance_of_prompts(of_two, runs), 2 * variance / runs, freedom)
        covered["difference"].append(abs(means[0].mean() - means[1].mean()) <= half)
    share = {name: np.mean(found) for name, found in covered.items()}
    low, high = COVERAGE
    assert low <= share["ap"] <= high and low <= share["difference"] <= high, share
    assert share["without seeds"] < 0.9


def judgments_of(folder, run, correct):
    """The judgments of a run, one for each prompt."""
    table = pl.DataFrame({"id": [str(i) for i in range(len(correct))], "correct": correct})
    names = {"benchmark": pl.lit("quiz"), "base": pl.lit("b"), "teacher": pl.lit(run)}
    table.with_columns(**names).write_parquet(folder / f"{run}.parquet")
    return folder / f"{run}.parquet"


def score(run, value, benchmark="quiz", kind="accuracy", se=5.0, **more):
    return {
        "benchmark": benchmark,
        "base": "b",
        "teacher": run,
        "judge": "exact",
        kind: {"value": value, "se": se},
    } | more


@pytest.fixture
def answered(tmp_path):
    """Scores and judgments of two students with two runs each, on the same 200 prompts."""
    rng, found, paths = np.random.default_rng(1), {}, []
    hard = rng.random(200)
    for run in ("x", "x@7", "y", "y@7"):
        found[run] = (hard + 0.4 * rng.random(200) > 0.7).astype(float)
        paths.append(judgments_of(tmp_path, run, found[run] > 0))
    return found, [score(run, 100 * v.mean()) for run, v in found.items()], paths


def test_ap_is_the_mean_over_runs_and_its_error_has_both_parts(answered):
    found, scores, paths = answered
    x, y = average(scores, ["quiz.accuracy"], paths).sort("teacher").to_dicts()
    values = np.stack(list(found.values())) * 100
    aps = values.mean(1)
    assert x["ap"] == x["quiz.accuracy"] == pytest.approx(aps[:2].mean()) and (x["runs"], y["runs"]) == (2, 2)
    assert x["seed_sd"] == pytest.approx(abs(aps[0] - aps[1]) / 2**0.5)
    common = np.cov(values[0], values[1])[0, 1] / 200
    assert x["quiz.accuracy.se"] == pytest.approx(common**0.5, rel=0.05)  # resampled 2,000 times
    pooled = ((aps[0] - aps[1]) ** 2 / 2 + (aps[2] - aps[3]) ** 2 / 2) / 2
    assert x["ap_se"] == pytest.approx((x["quiz.accuracy.se"] ** 2 + pooled / 2) ** 0.5)
    assert x["ap_margin"] == pytest.approx(margin(x["quiz.accuracy.se"] ** 2, pooled / 2, 2))

    prompts = values_of_prompts(paths, ["quiz.accuracy"])
    got = compare(x, y, prompts, *variance_of_seeds([2, 2], [x["seed_sd"], y["seed_sd"]]))
    c = np.cov(values) / 200
    paired = c[0, 1] + c[2, 3] - 2 * c[:2, 2:].mean()  # prompts are the same for both, seeds are not
    assert got["difference"] == pytest.approx(aps[:2].mean() - aps[2:].mean()) and got["paired"]
    assert got["se"] == pytest.approx((max(paired, 0) + pooled) ** 0.5, rel=0.1)
    assert got["se"] < (x["ap_se"] ** 2 + y["ap_se"] ** 2) ** 0.5


def run(script, monkeypatch, **given):
    words = [word for name, values in given.items() for word in (f"--{name}", *map(str, values))]
    monkeypatch.setattr("sys.argv", ["x", *words])
    script.main()


def test_the_tables_of_a_study_with_two_seeds_agree_and_say_so(answered, tmp_path, monkeypatch):
    _, scores, judgments = answered
    files = {name: tmp_path / f"{name}.csv" for name in ("performance", "differences", "ap-differences", "conclusions")}
    paths = [tmp_path / f"{number}.json" for number in range(len(scores))]
    for path, of_run in zip(paths, scores, strict=True):
        path.write_text(json.dumps(of_run), encoding="utf-8")
    given = {"ap": ["quiz.accuracy"], "judgments": judgments}
    table = [files["performance"]]
    run(average_performance, monkeypatch, treatments=['{"b": "full"}'], scores=paths, output=table, **given)
    run(compare_ap, monkeypatch, performance=table, output=[files["ap-differences"]], **given)
    x, y = read_csv(files["performance"]).sort("teacher").to_dicts()
    assert (x["treatment"], x["runs"], y["runs"]) == ("full", 2, 2)
    (pair,) = read_csv(files["ap-differences"]).to_dicts()
    assert (pair["teacher_a"], pair["teacher_b"], pair["paired"]) == ("x", "y", True)
    assert pair["margin"] > 1.96 * pair["se"] > 0  # the quantile of Student's t

    teachers = pl.DataFrame({"base": "b", "teacher": ["x", "y"], "rank": [1, 2], "car": [2.0, 1.0]})
    teachers.write_csv(tmp_path / "teachers.csv")
    correlations = {"base": ["b"], "metric": ["car"], "n": [2], "rho": [1.0], "note": ["too few"]}
    pl.DataFrame(correlations).write_csv(tmp_path / "correlations.csv")
    pl.DataFrame({"base": ["b"], "p": [0.5]}).write_csv(files["differences"])
    names = ("teachers", "performance", "correlations", "differences", "ap-differences")
    tables = {name: [tmp_path / f"{name}.csv"] for name in names}
    run(draw_conclusions, monkeypatch, output=[files["conclusions"]], **tables)
    (conclusion,) = read_csv(files["conclusions"])["conclusion"]
    moved = ((x["seed_sd"] ** 2 + y["seed_sd"] ** 2) / 2) ** 0.5
    assert conclusion.endswith(f"2 runs each: seeds move a student by {moved:.1f} points of AP (standard deviation).")


def test_the_resampled_covariance_is_that_of_the_means(answered):
    found, _, paths = answered
    tables = [table for of_pair in values_of_prompts(paths, ["quiz.accuracy"]).values() for table in of_pair]
    expected = np.cov(np.stack(list(found.values())) * 100) / 200
    assert covariance_of_means(tables) == pytest.approx(expected, rel=0.15)


def test_a_run_without_a_score_is_left_out_and_named(answered):
    _, scores, paths = answered
    lost = score("x@7", None, se=None, reason="not_trained")
    (x,) = average([scores[0], lost], ["quiz.accuracy"], paths).to_dicts()
    assert (x["ap"], x["ap_se"], x["runs"], x["seed_sd"]) == (scores[0]["accuracy"]["value"], 5.0, 1, None)
    assert x["note"] == "x@7: not_trained"
    (nothing,) = average([score("x", None, se=None, reason="not_trained"), lost], ["quiz.accuracy"], paths).to_dicts()
    assert (nothing["ap"], nothing["ap_se"], nothing["runs"]) == (None, None, 0)
    assert nothing["note"] == "x: not_trained; x@7: not_trained"


def test_a_score_without_values_of_prompts_counts_as_if_runs_agreed_and_one_of_a_table_for_each_run():
    tasks = [score(run, value, "k", "acc", se) for run, value, se in (("x", 40.0, 3.0), ("x@7", 44.0, 5.0))]
    (x,) = average([*tasks, score("x", 60.0, "table", "lc", 1.0)], ["k.acc", "table.lc"]).to_dicts()
    assert (x["ap"], x["k.acc"], x["table.lc"], x["runs"]) == (51, 42, 60, 2)
    assert x["seed_sd"] == pytest.approx(2**0.5)  # of 50 and 52
    assert x["k.acc.se"] == pytest.approx(17**0.5) and x["table.lc.se"] == 1  # (9 + 25) / 2
    assert x["ap_se"] == pytest.approx(((17 + 1) / 4 + 2 / 2) ** 0.5)


def test_the_page_says_how_often_each_student_was_trained_and_how_far_seeds_move_it():
    runs = pl.DataFrame({"runs": [3, 3, 3], "seed_sd": [1.0, 2.0, 3.0]})
    assert about_runs(runs) == ["3 runs each: seeds move a student by 2.2 points of AP (standard deviation)."]
    less = runs.with_columns(runs=pl.Series([3, 2, 0]), seed_sd=pl.Series([1.0, 2.0, None]))
    assert about_runs(less)[0].startswith("2 to 3 runs each: seeds move a student by 1.4 points")
    once = runs.with_columns(runs=1, seed_sd=None)
    assert about_runs(once) == ["One run each: how far another seed of training would move a student is not known."]
    assert about_runs(runs.with_columns(runs=None, seed_sd=None)) == []


BENCHMARKS = {
    "words": {"protocol": "label", "judge": "j", "baseline": "qwen2.5-0.5b-instruct"},
    "hard": {"protocol": "arena_hard_v2", "judge": "j", "baseline": "qwen2.5-0.5b-instruct"},
    "liked": {"protocol": "reward", "judge": "r", "baseline": "qwen2.5-0.5b-instruct"},
}


def with_every_kind_of_benchmark():
    """The study for one GPU with benchmarks that are judged in each way, and one that lm_eval evaluates."""
    config = yaml.safe_load((ROOT / "config/single-gpu.yaml").read_text(encoding="utf-8"))
    prompts = config["benchmarks"]["gsm8k"]["prompts"] | {"columns": {"instruction": "question"}}
    config["judges"] = {"j": {"model": "a/judge"}, "r": {"reward": {"model": "a/reward"}}}
    config["benchmarks"] |= {name: entry | {"prompts": prompts} for name, entry in BENCHMARKS.items()}
    config["benchmarks"]["tasks"] = {"protocol": "lm_eval", "tasks": ["mmlu"]}
    config["ap"] = ["gsm8k.accuracy", "words.wr", "hard.wr", "liked.wr", "tasks.mmlu:acc"]
    return config


def test_each_seed_has_its_own_runs_and_all_of_them_are_judged_together(tmp_path):
    config, root, pairs = with_every_kind_of_benchmark(), link_workflow(tmp_path), 12
    config["finetune"]["seeds"] = [3, 0]
    (root / "mine.json").write_text(json.dumps(config), encoding="utf-8")
    done = snakemake("-n", "-p", "--configfile", "mine.json", cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = [job for job in re.split(r"\n(?=\[)", done.stdout) if "Shell command:" in job]
    by_rule = {}
    for job in jobs:
        by_rule.setdefault(re.search(r"^rule (\w+):", job, flags=re.M)[1], []).append(job)
    assert {len(by_rule[rule]) for rule in ("finetune", "answer_benchmark", "evaluate_tasks")} == {2 * pairs}
    # the first seed has the files of a study with one seed
    found = [
        re.search(r'--hyperparameters .*"seed": (\d+).*--manifest \S+/[^/@]+(@\d+)?/manifest', job)
        for job in by_rule["finetune"]
    ]
    assert Counter(map(re.Match.groups, found)) == {("3", None): pairs, ("0", "@0"): pairs}
    once = {"generate_responses": 6, "judge_exact": 1, "judge_pairs": 2, "judge_reward": 1, "check_disk": 1}
    once |= {"score_judgments": 2, "score_label": 1, "score_arena_hard_v2": 1, "score_tasks": 1}
    assert {rule: len(by_rule[rule]) for rule in once} == once
    for rule in set(once) - {"generate_responses", "judge_exact"}:
        for job in by_rule[rule]:
            runs = re.search(r"--pairs (.*?) +--", job)[1].split()
            assert len(set(runs)) == 2 * pairs and sum(run.endswith("@0") for run in runs) == pairs, rule
