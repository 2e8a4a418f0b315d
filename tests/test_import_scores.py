"""Scores from tables: which texts are scores, what is refused, and what is known of the error of AP."""

import csv
import json

import polars as pl
import pytest

from scripts.correlations import average_performance, compare_ap
from scripts.scores import import_scores
from scripts.tables.files import read_csv

COLUMNS = {"base": "base", "teacher": "teacher", "scores": {"lc": "lc", "wr": "wr"}, "errors": {"lc": "lc_se"}}
PAIRS = [f"b/{teacher}" for teacher in "xyz"]


def run(script, monkeypatch, **given):
    words = [str(word) for name, value in given.items() for word in (f"--{name}", *value)]
    monkeypatch.setattr("sys.argv", ["x", *words])
    script.main()


def imported(folder, monkeypatch, table, columns=COLUMNS, compared="xyz"):
    """The scores that the script writes for PAIRS, by teacher."""
    (folder / "scores.csv").write_text(table, encoding="utf-8")
    outputs = [folder / f"{teacher}.json" for teacher in "xyz"]
    given = {"pairs": PAIRS, "compared": compared, "scores": [folder / "scores.csv"], "outputs": outputs}
    run(import_scores, monkeypatch, benchmark=["paper"], columns=[json.dumps(columns)], **given)
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in outputs}


def test_scores_have_the_errors_and_intervals_of_the_table(tmp_path, monkeypatch):
    got = imported(tmp_path, monkeypatch, "base,teacher,lc,lc_se,wr\nb,x,20,2,30\na,x,1,1,1\nb,z,5,,7.5\nb,y,0,0.5,1\n")
    assert got["x"]["lc"] == {"value": 20, "se": 2, "ci": [pytest.approx(16.08), pytest.approx(23.92)]}
    assert got["x"]["wr"] == {"value": 30, "se": None, "ci": None}
    assert got["z"]["lc"] == {"value": 5, "se": None, "ci": None} and got["y"]["lc"]["value"] == 0
    assert {score["judge"] for score in got.values()} == {str(tmp_path / "scores.csv")}
    assert not any("reason" in score for score in got.values())


TABLE = "base,teacher,lc,wr,lc_se\nb,x,1,50.5,1\nb,y,1,NaN,1\nb,z,NA,2,1\n"


@pytest.mark.parametrize(
    "table, message",
    [
        (TABLE, "pairs without a score: 2 of 3: b/y, b/z: add them to the table, or set `compare: false`"),
        (TABLE.replace("NaN", "inf"), "without a score: 2 of 3: b/y, b/z"),
        ("base,teacher,lc,lc_se,wr\n", "without a score: 3 of 3: b/x, b/y, b/z"),
        ("base,model,lc,lc_se\n", "no column teacher, wr; the table has base, model, lc, lc_se: see `scores.columns`"),
        (TABLE + "b,x,2,2,2\n", "more than one row for b/x: keep one"),
        (TABLE.replace("50.5,1", "50.5,-1"), "a standard error below 0 for b/x"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_for_all_pairs(table, message, tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as error:
        imported(tmp_path, monkeypatch, table)
    assert message in str(error.value) and not (tmp_path / "x.json").exists()


def test_a_pair_that_is_not_compared_may_be_missing_and_says_so(tmp_path, monkeypatch):
    got = imported(tmp_path, monkeypatch, TABLE, compared="x")
    assert got["x"]["wr"]["value"] == 50.5
    assert got["y"]["wr"]["value"] is None and "lacks a score of this pair" in got["y"]["reason"]


def average(folder, monkeypatch, scores, ap):
    """performance.csv and ap_differences.csv of these scores."""
    paths = []
    for i, score in enumerate(scores):
        paths.append(folder / f"score-{i}.json")
        paths[-1].write_text(json.dumps(score), encoding="utf-8")
    outputs = {"output": [folder / "performance.csv"]}
    run(average_performance, monkeypatch, ap=ap, treatments=['{"b": null}'], scores=paths, **outputs)
    differences = {"performance": outputs["output"], "output": [folder / "ap_differences.csv"]}
    run(compare_ap, monkeypatch, ap=ap, **differences)
    return read_csv(folder / "performance.csv"), read_csv(folder / "ap_differences.csv")


def test_a_table_without_errors_gives_an_ap_without_one_and_the_note_says_so(tmp_path, monkeypatch):
    without = COLUMNS | {"errors": {}}
    table = "base,teacher,lc,wr\nb,x,20,30\nb,y,10,21\nb,z,5,7\n"
    scores = imported(tmp_path, monkeypatch, table, without).values()
    performance, differences = average(tmp_path, monkeypatch, scores, ["paper.lc", "paper.wr"])
    assert performance["ap"].to_list() == [25, 15.5, 6]
    assert performance["ap_se"].to_list() == [None] * 3
    assert performance["note"].unique().to_list() == [
        "AP has no standard error: paper.lc has none; AP has no standard error: paper.wr has none"
    ]
    assert performance["treatment"].null_count() == 3
    assert differences["difference"].to_list() == [9.5, 19, 9.5] and differences["se"].null_count() == 3
    with open(tmp_path / "performance.csv", encoding="utf-8") as file:
        assert [row["judged_by"] for row in csv.DictReader(file)] == [str(tmp_path / "scores.csv")] * 3


def test_errors_of_a_table_make_those_of_ap(tmp_path, monkeypatch):
    table = "base,teacher,lc,lc_se,wr,wr_se\nb,x,20,3,30,4\nb,y,10,3,21,4\nb,z,5,0,7,0\n"
    columns = COLUMNS | {"errors": {"lc": "lc_se", "wr": "wr_se"}}
    scores = imported(tmp_path, monkeypatch, table, columns).values()
    performance, differences = average(tmp_path, monkeypatch, scores, ["paper.lc", "paper.wr"])
    assert performance["note"].null_count() == 3
    assert performance["ap_se"].to_list() == [3.5, 3.5, 0]  # (3 + 4) / 2
    of_first = differences.filter(pl.col("teacher_a") == "x", pl.col("teacher_b") == "y")
    assert of_first["se"].item() == pytest.approx((2 * 3.5**2) ** 0.5)
