"""What is said of a study in words, and what a gap in it costs the rest."""

import polars as pl
import pytest

from scripts.correlations import compare_metrics, correlate_metrics, draw_conclusions, vary_car
from scripts.correlations.compare_metrics import compare
from scripts.correlations.correlation import correlate
from scripts.correlations.draw_conclusions import of_best, of_car, of_choice, of_correlation, of_others
from scripts.correlations.pairs import complete
from test_statistics import pairs, two_metrics


def test_a_gap_leaves_out_a_teacher_of_every_base_and_a_base_without_any_ap_itself_alone():
    rows = [("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 3.0), ("b", "y", None), ("c", "x", None), ("c", "y", None)]
    table = pl.DataFrame(rows, schema=["base", "teacher", "ap"], orient="row")
    assert complete(table).rows() == [("a", "x", 1.0), ("b", "x", 3.0)]
    assert complete(table.filter(base="c")).height == 0


@pytest.mark.fault(21)
def test_a_metric_without_a_value_for_one_base_keeps_its_interval_for_the_others():
    whole, broken = two_metrics(12)
    rows = correlate(pl.concat([whole, broken.with_columns(loss=1.0)]), ["car", "loss"])
    alone = correlate(whole, ["car", "loss"])
    found = {(row["metric"], row["base"]): (row.get("low"), row.get("high")) for row in rows}
    assert found["loss", "0"] == next((r["low"], r["high"]) for r in alone if (r["metric"], r["base"]) == ("loss", "0"))
    assert found["loss", "1"] == found["loss", "average"] == (None, None) and None not in found["car", "average"]
    differences = compare([whole, broken.with_columns(loss=1.0)], ["car", "loss"])
    assert [(row["base"], row["n"]) for row in differences] == [("0", 12)]


@pytest.mark.fault(20)
def test_where_no_pair_has_an_ap_the_tables_are_empty_and_the_conclusions_say_so(tmp_path, monkeypatch):
    table = two_metrics(3, 1)[0].with_columns(rank=pl.int_range(1, 4), sigmoid=0.5, loss=1.0)
    table.drop("ap", "ap_se").with_columns(pl.lit(1.0).alias("reward:rm")).write_csv(tmp_path / "teachers.csv")
    ap = table.select("base", "teacher", ap=pl.lit(None, pl.Float64), note=pl.lit("not_trained"))
    ap.write_csv(tmp_path / "performance.csv")
    told = {name: tmp_path / f"{name}.csv" for name in ("teachers", "performance", "correlations", "differences")}

    def make(script, output, *names, more=()):
        options = [str(part) for name in names for part in (f"--{name}", told[name])]
        monkeypatch.setattr("sys.argv", ["x", *options, *more, "--output", str(tmp_path / output)])
        script.main()
        return pl.read_csv(tmp_path / output)

    both = ("teachers", "performance")
    assert make(correlate_metrics, "correlations.csv", *both).height == 0
    assert make(compare_metrics, "differences.csv", *both).height == 0
    assert make(vary_car, "car.csv", *both, more=("--beta", "1")).height == 0
    said = make(draw_conclusions, "conclusions.csv", *told)["conclusion"].to_list()
    assert said == [
        "There is no AP with t0, t1 and t2: see performance.csv. No teacher has an AP that CAR could be held against."
    ]


def test_what_is_concluded():
    car = {"n": 19, "rho": 0.81, "low": 0.44, "high": 0.95, "note": None}
    assert of_correlation(car) == "CAR predicts AP: rho 0.81 [0.44, 0.95] over 19 teachers."
    assert of_correlation(car | {"low": -0.1}).startswith("CAR cannot be shown to predict AP: rho 0.81")
    assert of_correlation(car | {"n": 6}).startswith("6 teachers are too few")
    assert "(n/a: x)" in of_correlation(car | {"rho": None, "note": "n/a: x"})
    assert of_correlation(car | {"low": -0.9, "high": -0.2}).startswith(
        "CAR orders the teachers the wrong way round: rho"
    )
    table = pairs([1.0, 3.0, 2.0, 0.0], [50.0, 49.0, 40.0, 48.5], ap_se=0.5).with_columns(rank=pl.Series([3, 1, 2, 4]))
    assert of_best(table) == "The best teacher by AP is t0 (50.0), not distinguishable from t1."
    assert of_choice(table) == "CAR's first choice, t1, loses 1.0 points."
    assert of_choice(table.with_columns(rank="car")) == "CAR's first choice, t3, loses 1.5 points."
    gap = table.with_columns(ap=pl.when(rank=1).then(None).otherwise("ap"))
    assert of_choice(gap) == "CAR's first choice, t1, has no AP."
    tied = table.with_columns(ap=pl.when(pl.col("rank") <= 3).then(50.0).otherwise("ap"))
    assert of_best(tied) == "The best teacher by AP is t0 (50.0), not distinguishable from t1 and t2."
    assert of_choice(tied) == "CAR's first choice, t1, does as well."
    assert of_choice(table.with_columns(rank=pl.Series([1, 3, 2, 4]))) == "CAR's first choice, t0, is that teacher."
    schema = ["metric_a", "metric_b", "difference", "p"]
    rows = [("car", "loss", 0.5, 0.01), ("loss", "transfer", -0.6, 0.001), ("car", "transfer", -0.3, 0.04)]
    said = of_others(pl.DataFrame(rows, schema=schema, orient="row"))
    assert said == "transfer (p = 0.040) predicts it better; loss (p = 0.010) predicts it worse."
    averages = pl.DataFrame([{"base": base, "metric": "car", **car} for base in ("b", "average")])
    differences = pl.DataFrame([("average", *row) for row in rows], schema=["base", *schema], orient="row")
    assert of_car("average", averages, differences) == [of_correlation(car), said]
    assert of_car("average", averages.with_columns(n=6), differences) == [
        "6 teachers are too few to tell how well CAR, or any metric, predicts AP."
    ]
    assert of_car("c", averages, differences) == ["No teacher has an AP that CAR could be held against."]
    assert of_others(pl.DataFrame([("car", "loss", 0.5, 0.2)], schema=schema, orient="row")) == (
        "No other metric can be told from it."
    )
