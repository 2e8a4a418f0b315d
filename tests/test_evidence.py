"""Public tables of teachers and base models: every figure again by scipy, no conclusion from a small table."""

import csv
import json
import re
from collections import defaultdict
from itertools import product
from statistics import mean

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.stats import rankdata, spearmanr, zscore

from conftest import ROOT, link_workflow, snakemake
from scripts.correlations.correlation import correlate
from scripts.correlations.pairs import join_pairs, with_transfer
from scripts.evidence import add_study, tabulate_evidence, write_evidence
from scripts.evidence.combined_metrics import with_combinations
from scripts.evidence.compare_table import compare_table
from scripts.evidence.correlate_table import correlate_table
from scripts.evidence.evidence_tables import read_evidence
from scripts.evidence.pooling import interval_over_tasks
from scripts.paper_table import tabulate_paper
from scripts.tables.files import write_table
from test_paper_table import PAPER
from test_report_page import Balance, words

TABLES = sorted((ROOT / "config/evidence").glob("*.yaml"))


def run(script, monkeypatch, **options):
    lists = {key: value if isinstance(value, list) else [value] for key, value in options.items()}
    monkeypatch.setattr("sys.argv", ["x", *(str(w) for key, words in lists.items() for w in (f"--{key}", *words))])
    script.main()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of `snakemake evidence`, made by its scripts."""
    root = link_workflow(tmp_path_factory.mktemp("evidence"))
    printed, output = root / "results/paper-table/tables", root / "results/evidence/tables"
    printed.mkdir(parents=True), output.mkdir(parents=True)
    tables = [path.relative_to(ROOT) for path in TABLES]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        entries = {key: json.dumps(PAPER[key]) for key in ("teachers", "bases")}
        files = {"scores": PAPER["scores"], "printed": PAPER["correlations"]}
        run(tabulate_paper, monkeypatch, ap=PAPER["ap"], **entries, **files, output=printed)
        run(tabulate_evidence, monkeypatch, tables=tables, output=output)
        run(write_evidence, monkeypatch, tables=tables, results=output, output=root / "evidence.html")
    return root


@pytest.fixture(scope="module")
def results(made):
    folder = made / "results/evidence/tables"
    return {path.stem: pl.read_csv(path, infer_schema_length=None) for path in folder.glob("*.csv")}


def pooled(results, table, metric, part=None):
    rows = results["summary"].filter(table=table, metric=metric)
    rows = rows.filter(pl.col("part").is_null() if part is None else pl.col("part") == part)
    return rows.row(0, named=True)


def groups_of(name, ap=("ap",)) -> dict[tuple, list[dict]]:
    """Task and base to the rows of a CSV, read without the workflow; numbers where there are some."""
    found = defaultdict(list)
    with open(ROOT / name, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = row.get("task", ""), row["base"]
            row = {k: float(v) if re.fullmatch(r"-?\d+[.]?\d*(e-?\d+)?", v) else v for k, v in row.items()}
            found[key].append(row | {"score": mean(row[column] for column in ap)})
    return found


def rho(rows, value) -> float:
    return spearmanr([value(row) for row in rows], [row["score"] for row in rows]).statistic


def mean_rho(groups, value) -> float:
    return mean(rho(rows, value) for rows in groups.values())


def mean_transfer(groups) -> float:
    scores = {(task, base, row["teacher"]): row["score"] for (task, base), rows in groups.items() for row in rows}

    def others(task, base):
        bases = {b for t, b in groups if t == task} - {base}
        return lambda row: round(mean(scores[task, b, row["teacher"]] for b in bases), 9)  # equal means are tied

    several = {key: rows for key, rows in groups.items() if len({b for t, b in groups if t == key[0]}) > 1}
    return mean(rho(rows, others(*key)) for key, rows in several.items())


RSR = {  # as printed or computed elsewhere, with the sign of the better direction
    "rsr": (-1, 0.847),
    "loss": (-1, 0.51),
    "grace": (-1, 0.60),
    "g_norm": (-1, 0.57),
    "response_length": (1, 0.53),
    "rule_quality": (1, 0.65),
    "judged_quality": (1, 0.51),
    "verified_accuracy": (1, 0.32),
    "published_score": (1, 0.21),
}


@pytest.mark.parametrize("metric", RSR)
def test_the_rhos_of_rsr_are_those_of_scipy_and_the_known_ones(results, metric):
    sign, known = RSR[metric]
    expected = mean_rho(groups_of("config/evidence/rsr.csv"), lambda row: sign * row[metric])
    row = pooled(results, "rsr", metric)
    assert row["rho"] == pytest.approx(expected) and row["rho"] == pytest.approx(known, abs=0.006)
    assert (row["n"], row["n_groups"], row["over"]) == (11, 5, "teachers") and row["low"] < row["rho"] < row["high"]


def test_transfer_is_that_of_the_other_bases_of_the_same_task(results):
    for name, path, ap, known in [
        ("rsr", "config/evidence/rsr.csv", ["ap"], 0.905),
        ("paper", PAPER["scores"], PAPER["ap"], 0.912),
        ("sppl", "config/evidence/sppl.csv", ["ap"], None),
        ("polyglot", "config/evidence/polyglot.csv", ["ap"], None),
    ]:
        row, expected = pooled(results, name, "transfer"), mean_transfer(groups_of(path, ap))
        assert row["rho"] == pytest.approx(expected), name
        assert known is None or row["rho"] == pytest.approx(known, abs=5e-4)
    assert pooled(results, "polyglot", "transfer")["n_groups"] == 12  # three languages have one base


def test_car_and_the_standardized_difference_follow_from_reward_and_loss(results):
    groups = groups_of("config/evidence/rsr.csv")
    for name, beta, known in [("car", 1, 0.65), ("car:beta 0.1", 0.1, 0.61)]:
        expected = mean_rho(groups, lambda row, beta=beta: row["judged_quality"] / (1 + beta * row["loss"]))
        assert pooled(results, "rsr", name)["rho"] == pytest.approx(expected) == pytest.approx(known, abs=0.006)
    negative = {
        key: rows
        for key, rows in groups_of("config/evidence/sppl.csv").items()
        if min(row["reward:skywork"] for row in rows) < 0
    }
    others = {k: v for k, v in groups_of("config/evidence/sppl.csv").items() if k not in negative}
    assert len(negative) == 24

    def of_car(row):
        return row["reward:skywork"] / (1 + np.log(row["ppl_self"]))

    def z(rows, value):
        values = np.array([value(row) for row in rows])
        return (values - values.mean()) / values.std(ddof=1)

    for part, groups, known in [("some rewards below 0", negative, 0.16), ("all rewards above 0", others, 0.31)]:
        row = pooled(results, "sppl", "car", part)
        assert row["rho"] == pytest.approx(mean_rho(groups, of_car)) == pytest.approx(known, abs=0.006)
    expected = mean(
        spearmanr(
            z(rows, lambda row: row["reward:skywork"]) - z(rows, lambda row: np.log(row["ppl_self"])),
            [row["score"] for row in rows],
        ).statistic
        for rows in others.values()
    )
    row = pooled(results, "sppl", "z(reward) - z(loss)", "all rewards above 0")
    assert row["rho"] == pytest.approx(expected) == pytest.approx(0.34, abs=0.006)


@pytest.mark.parametrize(
    "table, metric, sign, known",
    [
        ("sppl", "ppl_self", -1, 0.30),
        ("sppl", "sppl", -1, 0.30),
        ("sppl", "idf", -1, 0.24),
        ("sppl", "reward:skywork", 1, 0.24),
        ("sppl", "response_length", 1, 0.02),
        ("agorabench", "ppl_self", -1, -0.03),
        ("agorabench", "reward:skywork", 1, 0.56),
        ("agorabench", "published_score", 1, 0.51),
        ("polyglot", "intrinsic_quality", 1, -0.10),
        ("terminal_lego", "published_score", 1, -0.87),
        ("terminal_lego", "tor", 1, 0.97),
    ],
)
def test_the_rhos_of_the_other_tables_are_those_of_scipy_and_the_known_ones(results, table, metric, sign, known):
    expected = mean_rho(groups_of(f"config/evidence/{table}.csv"), lambda row: sign * row[metric])
    assert pooled(results, table, metric)["rho"] == pytest.approx(expected) == pytest.approx(known, abs=0.006)


def test_the_points_that_are_lost_are_those_of_the_first_choice(results):
    for metric, sign, known in [("rsr", -1, 0.6), ("loss", -1, 6.3), ("judged_quality", 1, 7.0)]:
        lost, at_random = [], []
        for rows in groups_of("config/evidence/rsr.csv").values():
            best = max(row["ap"] for row in rows)
            lost.append(best - max(rows, key=lambda row: sign * row[metric])["ap"])
            at_random.append(best - mean(row["ap"] for row in rows))
        row = pooled(results, "rsr", metric)
        assert row["top1_regret"] == pytest.approx(mean(lost)) == pytest.approx(known, abs=0.06)
        assert row["random_regret"] == pytest.approx(mean(at_random))
    parameters = results["correlations"].filter(table="learnability_gap", metric="parameters")
    tied = parameters.filter(task="long or short reasoning")  # both have 32 billion parameters
    assert tied["rho"].null_count() == tied.height == 10


def test_without_three_teachers_too_little_is_left_to_conclude_anything(results):
    left = {
        key: [row for row in rows if row["teacher"] not in ("GPT-120B", "GPT-20B", "Phi-4")]
        for key, rows in groups_of("config/evidence/rsr.csv").items()
    }
    for metric, value in [("rsr", lambda row: -row["rsr"]), ("loss", lambda row: -row["loss"])]:
        row = pooled(results, "rsr", metric, "without the short answers")
        assert row["rho"] == pytest.approx(mean_rho(left, value)) and (row["n"], row["low"]) == (8, None)
    assert pooled(results, "rsr", "transfer", "without the short answers")["rho"] == pytest.approx(mean_transfer(left))


def test_the_test_of_a_difference_is_that_of_all_permutations(results):
    swaps = np.array(list(product([False, True], repeat=11)))
    differences = np.zeros(len(swaps))
    for rows in groups_of("config/evidence/rsr.csv").values():
        ap = rankdata([row["ap"] for row in rows])
        loss, rsr = (rankdata([-row[name] for row in rows]) for name in ("loss", "rsr"))
        for sign, a, b in [(1, loss, rsr), (-1, rsr, loss)]:
            mixed = rankdata(np.where(swaps, b, a), axis=1)
            differences += sign * zscore(mixed, axis=1) @ zscore(ap) / 11 / 5
    p = (abs(differences) >= abs(differences[0]) - 1e-12).mean()
    row = results["differences"].filter(table="rsr", metric_a="loss", metric_b="rsr").row(0, named=True)
    assert row["difference"] == pytest.approx(differences[0]) and row["p"] == pytest.approx(p, abs=0.006)


def test_a_table_with_few_teachers_and_tasks_has_no_interval_no_test_and_no_conclusion(results):
    small = ["agorabench", "learnability_gap", "ot_agent", "terminal_lego", "wildchat"]
    rows = results["summary"].filter(pl.col("table").is_in(small))
    assert rows.height > 40 and rows["low"].null_count() == rows.height
    assert rows["note"].str.starts_with("too few teachers").all()
    assert results["differences"].filter(pl.col("table").is_in(small)).is_empty()
    for name in small:
        first = results["findings"].filter(about="table", name=name)["finding"][0]
        assert "too small to conclude anything" in first
    known = results["summary"].drop_nulls("low").filter(pl.col("over") == "teachers")
    assert known["n"].min() >= 10
    alone = results["correlations"].drop_nulls("low")
    assert alone["n"].min() >= 10


def test_an_interval_over_tasks_draws_whole_tasks():
    values, tasks = np.repeat(np.arange(12.0), 3), np.repeat([f"t{i}" for i in range(12)], 3)
    low, high = interval_over_tasks(values, list(tasks))
    error = np.arange(12.0).std() / 12**0.5  # three equal values of a task count once
    assert (low, high) == (pytest.approx(5.5 - 1.96 * error, abs=0.15), pytest.approx(5.5 + 1.96 * error, abs=0.15))


@pytest.fixture
def own(tmp_path):
    """Writes a table and reads it."""
    facts = {"title": "Own", "source": "s", "license": "l", "setting": "x", "unit": "points", "trust": "weak"}
    facts["metrics"] = {"a": {"better": "lower", "meaning": "m"}}

    def read(rows, **changed):
        (tmp_path / "own.yaml").write_text(yaml.safe_dump({k: v for k, v in (facts | changed).items() if v}))
        pl.DataFrame(rows, infer_schema_length=None).write_csv(tmp_path / "own.csv")
        return read_evidence(tmp_path / "own.yaml")

    return read


def test_equal_means_of_the_other_bases_are_tied(own):
    scores = {"x": (0.1, 0.2), "y": (0.2, 0.1), "z": (0.7, 0.4)}
    rows = [
        {"base": b, "teacher": f"t{i}", "ap": ap, "a": 1.0} for b, aps in scores.items() for i, ap in enumerate(aps)
    ]
    assert with_combinations(own(rows)).pairs.filter(base="z")["transfer"].to_list() == [0.15, 0.15]


def rows_of(n, base="b", **more):
    return [{"base": base, "teacher": f"t{i}", "ap": float(i % 7), "a": float(-i), **more} for i in range(n)]


def test_a_teacher_without_a_value_is_left_out_for_this_metric_and_counted(own):
    rows = rows_of(5)
    rows[4]["a"] = None
    found = {row["base"]: row for row in correlate_table(with_combinations(own(rows)))}
    assert (found["b"]["n"], found["b"]["without"], found["b"]["rho"]) == (4, 1, pytest.approx(1.0))
    assert (found["average"]["n"], found["average"]["without"], found["average"].get("low")) == (4, 1, None)


def test_ten_teachers_have_an_interval_and_nine_have_none(own):
    for n in (9, 10):
        table = own(rows_of(n, reward=1.0), metrics={"a": {"better": "lower", "meaning": "m"}})
        average = correlate_table(with_combinations(table))[-1]
        assert (average.get("low") is not None, average["over"]) == (n == 10, "teachers" if n == 10 else None)
        assert compare_table(table, correlate_table(table)) == []


@pytest.mark.parametrize("value", [1.0, None])
def test_a_small_table_alone_makes_a_page_that_concludes_nothing(own, tmp_path, monkeypatch, value):
    rows = rows_of(4)
    own([row | {"a": row["a"] if value else 1.0} for row in rows], title="<b>Own</b>")
    paths = {"tables": tmp_path / "own.yaml", "output": tmp_path}
    run(tabulate_evidence, monkeypatch, **paths)
    run(write_evidence, monkeypatch, **paths | {"results": tmp_path, "output": tmp_path / "page.html"})
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    said = "With 4 teachers it is too small to conclude anything" if value else "No metric has a rho"
    assert said in page and "large enough to conclude something: none." in page
    assert "<b>Own" not in page and "&lt;b&gt;Own&lt;/b&gt;" in page


@pytest.mark.parametrize(
    "changed, line",
    [
        ({"trust": "bad"}, "trust is bad: one of good, fair, weak"),
        ({"source": None}, "no key source"),
        ({"sources": "s"}, "unknown key sources"),
        (
            {"metrics": {"a": {"better": "more", "meaning": "m"}}},
            "metric a: needs better (higher or lower) and meaning",
        ),
        ({"metrics": {"loss": {"better": "higher", "meaning": "m"}}}, "metric loss: lower is better"),
        ({"metrics": {"c": {"better": "lower", "meaning": "m"}}}, "no column c; it has base, teacher, ap, a"),
        ({"combine": {"reward": "a", "loss": "b"}}, "combine: no metric b"),
        ({"combine": {"reward": "a"}}, "combine: needs reward, and loss or perplexity"),
        ({"parts": {"x": {"teachers": ["t"]}}}, "part x: needs without_teachers or tasks"),
    ],
)
def test_a_wrong_description_is_an_error_in_one_line(own, changed, line):
    with pytest.raises(SystemExit, match=re.escape(line)):
        own(rows_of(3), **changed)


@pytest.mark.parametrize(
    "change, line",
    [
        ({"teacher": "t0"}, "twice in the table: b, t0"),
        ({"ap": None}, "rows without a score: 1"),
        ({"a": "?"}, "column a has a value that is no number"),
    ],
)
def test_a_wrong_table_is_an_error_in_one_line(own, change, line):
    rows = rows_of(3)
    rows[1] |= change
    with pytest.raises(SystemExit, match=re.escape(line)):
        own(rows)


def test_a_finished_study_is_one_more_table_with_the_same_figures(tmp_path, monkeypatch):
    folder = tmp_path / "results/mine/tables"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = {"base": ["x"] * 10 + ["y"] * 10, "teacher": [f"t{i}" for i in range(10)] * 2}
    metrics = {"car": rng.random(20), "loss": rng.random(20), "reward:rm": rng.random(20), "rsr": rng.random(20)}
    teachers = pl.DataFrame(names | {"rank": list(range(1, 11)) * 2} | metrics)
    performance = pl.DataFrame(names | {"ap": rng.random(20) * 50, "ap_se": 1.0})
    write_table(teachers, folder / "teachers.csv")
    write_table(performance, folder / "performance.csv")
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "results/mine"), "--output", str(tmp_path)])
    add_study.main()
    table = with_combinations(read_evidence(tmp_path / "mine.yaml"))
    assert set(table.directions) == {*metrics, "transfer"}
    expected, _ = with_transfer(join_pairs(teachers, performance))
    for metric in table.directions:
        wanted = correlate(expected, [metric])[-1]
        got = next(row for row in correlate_table(table) if row["metric"] == metric and row["base"] == "average")
        assert [got[key] for key in ("rho", "low", "high", "top1_regret")] == pytest.approx(
            [wanted[key] for key in ("rho", "low", "high", "top1_regret")]
        )
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "results/none"), "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"teachers.csv and no .*performance.csv: finish the study first"):
        add_study.main()


def test_the_page_has_every_table_with_its_source_and_every_finding(made, results):
    page = (made / "evidence.html").read_text(encoding="utf-8")
    Balance().feed(page)
    text = " ".join(words(page).split())
    for path in TABLES:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key in ("title", "source", "license"):
            assert " ".join(facts[key].split()) in text, (path, key)
    for finding in results["findings"].filter(pl.col("about") != "metric")["finding"]:
        assert finding in text
    for row in results["summary"].filter(pl.col("part").is_null()).to_dicts():
        assert f'<data value="{row["rho"]!r}">' in page
    assert "<script" not in page and "http:" not in page and "https:" not in page


def test_the_figures_in_the_documents_are_findings(results):
    findings = set(results["findings"]["finding"])
    for name, least in [("README.md", 2), ("docs/evidence.md", 6)]:
        lines = re.findall(r"^> (.*)$", (ROOT / name).read_text(encoding="utf-8"), flags=re.M)
        quoted = {" ".join(item.split()) for item in re.split(r"^- ", "\n".join(lines), flags=re.M) if item}
        assert len(quoted) >= least and quoted <= findings, quoted - findings


def test_evidence_needs_no_study(tmp_path):
    done = snakemake("evidence", "-n", "--cores", "1", cwd=link_workflow(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = set(re.findall(r"^(?:local)?rule (\w+):$", done.stdout, flags=re.M))
    assert jobs == {"tabulate_paper", "tabulate_evidence", "write_evidence", "evidence"}
