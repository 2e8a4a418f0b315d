"""The numbers printed in the paper, and the conclusions from them."""

import csv
import math

import numpy as np
import polars as pl
import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.correlations.size_steps import size_steps
from scripts.metrics.rank_statistics import interval_of_printed

PAPER = yaml.safe_load((ROOT / "config/paper/table.yaml").read_text())


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of `snakemake paper_table`, made in an empty folder."""
    root = tmp_path_factory.mktemp("paper")
    link_workflow(root)
    done = snakemake("paper_table", "--cores", "1", cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    folder = root / "results/paper-table/tables"
    return {path.stem: pl.read_csv(path, infer_schema_length=None) for path in folder.glob("*.csv")}


def test_average_performance_equals_table_3(tables):
    ap = {(base, teacher): ap for base, teacher, ap in tables["performance"].iter_rows()}
    assert len(ap) == 95
    assert ap["minitron-4b", "gemma-2-9b-it"] == pytest.approx(13.565)
    assert ap["qwen2.5-3b", "gemma-2-9b-it"] == pytest.approx(16.59)


def test_the_larger_teacher_gives_the_lower_ap_in_29_of_65_steps(tables):
    steps = tables["size_steps"]
    assert (steps.height, steps["inverted"].sum()) == (65, 29)
    assert tables["findings"]["finding"].to_list() == [
        "In 29 of 65 steps within a family, the larger teacher gives the lower AP.",
        "A teacher's mean AP on the other bases predicts its AP on a base with a mean rho of 0.912 [0.764, 0.957]; "
        "the printed CAR does so with 0.889.",
        "With 19 teachers the 95 % interval of CAR's printed rho is 0.15 to 0.42 wide.",
        "It is completely above the interval of another metric on the same base in 6 of 40 cases.",
    ]
    ap = {(base, teacher): ap for base, teacher, ap in tables["performance"].iter_rows()}
    sizes = {name: entry["parameters"] for name, entry in PAPER["teachers"].items()}
    for step in steps.iter_rows(named=True):
        assert sizes[step["smaller"]] < sizes[step["larger"]]
        assert step["difference"] == pytest.approx(ap[step["base"], step["larger"]] - ap[step["base"], step["smaller"]])


def test_a_step_needs_a_family_and_two_sizes_and_has_the_error_of_a_difference():
    sizes = {
        "s": ("f", 1),
        "m": ("f", 7),
        "l": ("f", 70),
        "single": ("g", 1),
        "no size": ("f", None),
        "none": (None, 3),
    }
    teachers = {name: {"family": family, "parameters": size} for name, (family, size) in sizes.items()}
    ap = {"s": 5.0, "m": 9.0, "l": 8.0, "single": 1.0, "no size": 1.0, "none": 1.0}
    performance = pl.DataFrame({"base": "b", "teacher": list(ap), "ap": list(ap.values())})
    found = size_steps(performance, teachers, {("b", "m", "s"): 1.5})
    rows = [(r["smaller"], r["larger"], r["difference"], r["inverted"]) for r in found]
    assert rows == [("s", "m", 4.0, False), ("m", "l", -1.0, True)]
    assert [row["se"] for row in found] == [1.5, None]


def test_there_is_no_step_between_samplings_of_one_model():
    sizes = {"g-t0": 9, "g-t0.7": 9, "g-big": 27}
    teachers = {name: {"family": "g", "parameters": size} for name, size in sizes.items()}
    performance = pl.DataFrame({"base": "b", "teacher": list(sizes), "ap": [1.0, 2.0, 3.0]})
    steps = [(row["smaller"], row["larger"]) for row in size_steps(performance, teachers, {})]
    assert steps == [("g-t0", "g-big"), ("g-t0.7", "g-big")]


def test_ap_on_the_other_bases_predicts_better_than_the_printed_car(tables):
    transfer = tables["baselines"].filter(metric="transfer", base="average").row(0, named=True)
    car = tables["printed"].filter(metric="car", base="average")["rho"].item()
    assert (round(transfer["rho"], 3), round(car, 3)) == (0.912, 0.889)
    assert transfer["low"] < car < transfer["high"]


def test_all_printed_rhos_except_one_are_possible_for_19_teachers_without_ties(tables):
    printed = tables["printed"].filter(pl.col("base") != "average")
    assert printed.height == 45 and set(printed["n"]) == {19}
    impossible = []
    for base, metric, rho in printed.select("base", "metric", "rho").iter_rows():
        squares = (1 - rho) * 1140  # the sum of squared differences of ranks, an even number
        if abs(squares - 2 * round(squares / 2)) > 0.114:  # four digits, some of them truncated, not rounded
            impossible.append((base, metric, rho))
    assert impossible == [("minitron-4b", "ifd_self", 0.8555)]  # the nearest possible values are .8561 and .8544


def test_intervals_of_printed_rhos_are_those_of_bonett_and_wright():
    low, high = interval_of_printed(np.array([0.8842, 0.0]), 19)
    z, error = math.atanh(0.8842), math.sqrt((1 + 0.8842**2 / 2) / 16)
    assert (low[0], high[0]) == pytest.approx((math.tanh(z - 1.96 * error), math.tanh(z + 1.96 * error)), abs=1e-5)
    assert high[1] == -low[1] == pytest.approx(math.tanh(1.96 / 4), abs=1e-5)


def test_families_and_sizes_are_those_of_the_imported_study():
    imported = yaml.safe_load((ROOT / "config/paper-import.yaml").read_text())
    assert PAPER["bases"] == {name: base["family"] for name, base in imported["bases"].items()}
    assert PAPER["teachers"] == {
        name: {key: teacher[key] for key in ("family", "parameters")} for name, teacher in imported["teachers"].items()
    }
    with open(ROOT / PAPER["scores"], encoding="utf-8") as file:
        assert {row["teacher"] for row in csv.DictReader(file)} == set(PAPER["teachers"])
