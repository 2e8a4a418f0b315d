"""The conclusions of a study in sentences, and the effect of a gap on the other results."""

import numpy as np
import polars as pl
import pytest

from scripts.correlations import compare_ap, compare_metrics, correlate_metrics, draw_conclusions, vary_car
from scripts.correlations.compare_metrics import compare
from scripts.correlations.correlation import correlate
from scripts.correlations.draw_conclusions import (
    about_best,
    about_car,
    about_choice,
    about_correlation,
    about_other_metrics,
    tied_with_best,
)
from scripts.correlations.pairs import complete
from scripts.correlations.prompt_values import values_of_prompts
from test_statistics import pairs, two_metrics


def test_a_gap_leaves_out_its_teacher_for_every_base_and_a_base_without_ap_only_itself():
    rows = [("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 3.0), ("b", "y", None), ("c", "x", None), ("c", "y", None)]
    table = pl.DataFrame(rows, schema=["base", "teacher", "ap"], orient="row")
    assert complete(table).rows() == [("a", "x", 1.0), ("b", "x", 3.0)]
    assert complete(table.filter(base="c")).height == 0


@pytest.mark.fault(21)
def test_a_metric_without_a_value_for_one_base_keeps_its_interval_for_the_others():
    good, broken = two_metrics(12)
    rows = correlate(pl.concat([good, broken.with_columns(loss=1.0)]), ["car", "loss"])
    without_broken = correlate(good, ["car", "loss"])
    found = {(row["metric"], row["base"]): (row.get("low"), row.get("high")) for row in rows}
    assert found["loss", "0"] == next(
        (r["low"], r["high"]) for r in without_broken if (r["metric"], r["base"]) == ("loss", "0")
    )
    assert found["loss", "1"] == found["loss", "average"] == (None, None) and None not in found["car", "average"]
    differences = compare([good, broken.with_columns(loss=1.0)], ["car", "loss"])
    assert [(row["base"], row["n"]) for row in differences] == [("0", 12)]


@pytest.mark.fault(20)
def test_if_no_pair_has_an_ap_the_tables_are_empty_and_the_conclusions_say_so(tmp_path, monkeypatch):
    table = two_metrics(3, 1)[0].with_columns(rank=pl.int_range(1, 4), sigmoid=0.5, loss=1.0)
    table.drop("ap", "ap_se").with_columns(pl.lit(1.0).alias("reward:rm")).write_csv(tmp_path / "teachers.csv")
    ap = table.select("base", "teacher", ap=pl.lit(None, pl.Float64), ap_se=None, note=pl.lit("not_trained"))
    ap.write_csv(tmp_path / "performance.csv")
    names = ("teachers", "performance", "correlations", "differences", "ap-differences")
    tables = {name: tmp_path / f"{name}.csv" for name in names}

    def make(script, output, *names, more=()):
        options = [str(part) for name in names for part in (f"--{name}", tables[name])]
        monkeypatch.setattr("sys.argv", ["x", *options, *more, "--output", str(tmp_path / output)])
        script.main()
        return pl.read_csv(tmp_path / output)

    both = ("teachers", "performance")
    assert make(correlate_metrics, "correlations.csv", *both).height == 0
    assert make(compare_metrics, "differences.csv", *both).height == 0
    assert make(vary_car, "car.csv", *both, more=("--beta", "1")).height == 0
    compared = make(compare_ap, "ap-differences.csv", "performance", more=("--ap", "held_out.wr"))
    assert compared.height == 0
    conclusions = make(draw_conclusions, "conclusions.csv", *tables)["conclusion"].to_list()
    assert conclusions == [
        "AP is missing for t0, t1 and t2: see performance.csv. No teacher has an AP, so CAR cannot be compared with it."
    ]


def margins(margin):
    """The same half of an interval for every difference of two teachers' AP."""
    names = [f"t{i}" for i in range(4)]
    return {("b", one, other): margin for one in names for other in names}


def judged(folder, teacher, preferences):
    """A file of judgments; a prompt without a preference was not judged."""
    rows = {"id": [str(i) for i in range(len(preferences))], "preference": preferences}
    table = pl.DataFrame(rows).with_columns(benchmark=pl.lit("own"), base=pl.lit("b"), teacher=pl.lit(teacher))
    table.write_parquet(folder / f"{teacher}.parquet")
    return folder / f"{teacher}.parquet"


def test_the_error_of_a_difference_is_paired_over_prompts(tmp_path):
    rng = np.random.default_rng(2)
    hard = rng.random(300)
    one, other = ((hard + 0.3 * rng.random(300) > 0.6).astype(float) for _ in range(2))
    paths = [judged(tmp_path, "x", [*one, None]), judged(tmp_path, "y", [*other, 1.0])]
    rows = [
        {"base": "b", "teacher": name, "ap": 100 * v.mean(), "own.wr": 100 * v.mean(), "own.wr.se": 2.8}
        for name, v in (("x", one), ("y", other))
    ]
    found = compare_ap.compare(*rows, values_of_prompts(paths, ["own.wr"]))
    by_hand = 100 * (one - other).std(ddof=1) / 300**0.5
    assert found["paired"] and found["se"] == pytest.approx(by_hand, rel=0.06) and found["se"] < 0.7 * 2.8 * 2**0.5
    assert found["difference"] == pytest.approx(100 * (one - other).mean())
    # half of AP is a score without values of prompts: its errors 3 and 4 are combined to 5, and count half
    more = [row | {"arena.wr": 50.0, "arena.wr.se": se} for row, se in zip(rows, (3.0, 4.0), strict=True)]
    half = compare_ap.compare(*more, values_of_prompts(paths, ["own.wr", "arena.wr"]))
    assert not half["paired"] and half["se"] == pytest.approx(((found["se"] / 2) ** 2 + 2.5**2) ** 0.5)
    # two scores of the same judgments add their errors: (2.8 + 1.2) / 2 for each teacher
    both = [row | {"own.lc": 50.0, "own.lc.se": 1.2} for row in rows]
    assert compare_ap.compare(*both, values_of_prompts(paths, ["own.wr", "own.lc"]))["se"] == pytest.approx(8**0.5)
    published = [{"base": "b", "teacher": name, "ap": 50.0} for name in "xy"]
    assert compare_ap.compare(*published, {}) == {"difference": 0, "se": None, "margin": None, "paired": False}


def test_the_teachers_tied_with_the_highest_ap_follow_from_the_intervals_of_differences():
    table = pairs([1.0, 3.0, 2.0, 0.0], [50.0, 49.0, 40.0, 48.5])
    assert tied_with_best(table, margins(0.99)) == [] and tied_with_best(table, margins(1.01)) == ["t1"]
    assert tied_with_best(table, margins(None)) == []


def test_the_sentences_of_the_conclusions():
    car = {"n": 19, "rho": 0.81, "low": 0.44, "high": 0.95, "note": None}
    assert about_correlation(car) == "CAR predicts AP: rho 0.81 [0.44, 0.95] over 19 teachers."
    assert about_correlation(car | {"low": -0.1}).startswith("These data do not show that CAR predicts AP: rho 0.81")
    assert about_correlation(car | {"n": 6}).startswith("6 teachers are too few")
    assert about_correlation(car | {"n": 1}).startswith("1 teacher is too few")
    assert "(n/a: x)" in about_correlation(car | {"rho": None, "note": "n/a: x"})
    assert about_correlation(car | {"low": -0.9, "high": -0.2}).startswith(
        "CAR ranks the teachers in the opposite order to AP: rho"
    )
    table = pairs([1.0, 3.0, 2.0, 0.0], [50.0, 49.0, 40.0, 48.5], ap_se=0.5).with_columns(rank=pl.Series([3, 1, 2, 4]))
    assert (
        about_best(table, margins(1.2))
        == "The highest AP is that of t0 (50.0), but it is not significantly higher than that of t1."
    )
    assert about_choice(table) == "CAR's first choice, t1, is 1.0 points of AP below it."
    assert about_choice(table.with_columns(rank="car")) == "CAR's first choice, t3, is 1.5 points of AP below it."
    gap = table.with_columns(ap=pl.when(rank=1).then(None).otherwise("ap"))
    assert about_choice(gap) == "CAR's first choice, t1, has no AP."
    tied = table.with_columns(ap=pl.when(pl.col("rank") <= 3).then(50.0).otherwise("ap"))
    assert about_best(tied, margins(1.0)) == (
        "The highest AP is that of t0 (50.0), but it is not significantly higher than that of t1 and t2."
    )
    assert about_choice(tied) == "CAR's first choice, t1, has the same AP."
    assert (
        about_choice(table.with_columns(rank=pl.Series([1, 3, 2, 4]))) == "CAR's first choice, t0, has the highest AP."
    )
    schema = ["metric_a", "metric_b", "difference", "p"]
    rows = [("car", "loss", 0.5, 0.01), ("loss", "transfer", -0.6, 0.001), ("car", "transfer", -0.3, 0.04)]
    sentences = about_other_metrics(pl.DataFrame(rows, schema=schema, orient="row"))
    assert sentences == "transfer (p = 0.040) predicts AP better than CAR. loss (p = 0.010) predicts AP worse than CAR."
    averages = pl.DataFrame([{"base": base, "metric": "car", **car} for base in ("b", "average")])
    differences = pl.DataFrame([("average", *row) for row in rows], schema=["base", *schema], orient="row")
    assert about_car("average", averages, differences) == [about_correlation(car), sentences]
    assert about_car("average", averages.with_columns(n=6), differences) == [
        "6 teachers are too few to conclude how well CAR, or any other metric, predicts AP."
    ]
    assert about_car("c", averages, differences) == ["No teacher has an AP, so CAR cannot be compared with it."]
    assert about_other_metrics(pl.DataFrame([("car", "loss", 0.5, 0.2)], schema=schema, orient="row")) == (
        "No other metric differs significantly from CAR."
    )
