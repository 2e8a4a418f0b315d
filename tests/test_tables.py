"""The tables, compared with numbers computed by hand."""

import random

import polars as pl
import pytest

from scripts.correlations.average_performance import average
from scripts.metrics.car import car
from scripts.metrics.definitions import METRICS, PARTS, data_set_values
from scripts.ranking.common_instructions import common_ids, refuse_gaps
from scripts.ranking.rank_teachers import baselines, means_of, rank
from scripts.tables.files import read_csv, write_table


def test_car_is_reward_over_one_plus_beta_times_loss():
    assert car(6.0, 2.0, beta=1.0) == 2.0
    assert car(6.0, 2.0, beta=0.25) == 4.0
    assert car(6.0, 2.0, beta=0.0) == 6.0


def metric_rows(values):
    """Rows of metrics from (teacher, id, reward, loss, reason)."""
    rest = {name: 1.0 for name in [*METRICS, *PARTS] if name != "loss"} | {"cut": 0.0}
    return pl.DataFrame(
        [
            {"id": i, "base": "b", "teacher": t, "reward:rm": r, "loss": loss, "reason": reason, **rest}
            for t, i, r, loss, reason in values
        ],
        schema_overrides={"reason": pl.String},
    )


def ranked(rows, compared, *arguments):
    """The ranking from rows of one base, with one table per teacher as in the workflow."""
    common = common_ids(rows, compared)
    return rank(pl.concat([means_of(part, common) for part in rows.partition_by("teacher")]), compared, *arguments)


@pytest.mark.fault(7)
def test_teachers_are_ranked_by_car_on_the_instructions_all_of_them_answered():
    rows = metric_rows(
        [
            ("x", "1", 4.0, 1.0, None),
            ("x", "2", 8.0, 3.0, None),
            ("x", "3", 99.0, 0.0, None),
            ("y", "1", 6.0, 0.5, None),
            ("y", "2", 6.0, 1.5, None),
            ("y", "3", None, None, "empty"),
            ("below", "1", 9.0, 0.0, None),
            ("below", "3", 9.0, 0.0, None),
        ]
    )
    got = ranked(rows, ["x", "y"], {"x": "f", "y": "f", "below": None}, "rm", 0.5, "none").to_dicts()
    assert [(r["teacher"], r["rank"], r["n"]) for r in got] == [("y", 1, 2), ("x", 2, 2), ("below", None, 1)]
    assert [r["car"] for r in got] == [6 / (1 + 0.5 * 1.0), 6 / (1 + 0.5 * 2.0), 9.0]
    assert [r["note"] for r in got] == [None, None, None]


def test_the_rank_surprisal_ratio_of_a_data_set_is_a_ratio_of_means():
    rows = pl.DataFrame({"mean_rank": [2.0, 10.0], "loss_without_end": [1.0, 2.0], "rsr": [2.0, 5.0]})
    assert rows.select(data_set_values(["rsr", "loss_without_end"])).row(0) == (6 / 1.5, 1.5)


def test_a_value_of_the_config_is_a_baseline_if_every_compared_teacher_has_it():
    teachers = {
        "x": {"family": "f", "parameters": 7, "published_score": None},
        "y": {"family": "g", "parameters": 1.5, "published_score": 30.0},
        "below": {"family": None, "parameters": None, "published_score": None},
    }
    table = pl.DataFrame({"teacher": ["x", "y", "below"], "family": ["f", "g", None]})
    got = table.select(baselines(teachers, ["x", "y"], "f"))
    assert got.to_dict(as_series=False) == {"parameters": [7.0, 1.5, None], "same_family": [1.0, 0.0, None]}
    assert table.select(baselines(teachers, ["y"], None)).columns == ["parameters", "published_score"]


def test_the_order_of_the_rows_does_not_change_a_digit():
    rng = random.Random(0)
    cells = [(t, str(i), rng.gauss(0, 1), rng.random(), None) for t in "xyz" for i in range(2000)]
    rows = metric_rows(cells)
    tables = {
        ranked(
            rows.sample(fraction=1, shuffle=True, seed=seed), ["x", "y", "z"], dict.fromkeys("xyz"), "rm", 1.0, "none"
        ).write_csv()
        for seed in range(20)
    }
    assert len(tables) == 1


def test_a_negative_mean_reward_is_marked():
    rows = metric_rows([("x", "1", -1.0, 1.0, None), ("y", "1", 1.0, 1.0, None)])
    got = ranked(rows, ["x", "y"], {"x": None, "y": None}, "rm", 1.0, "none")
    assert dict(got.select("teacher", "note").iter_rows()) == {
        "x": "negative reward: a larger loss raises CAR",
        "y": None,
    }


@pytest.mark.fault(9)
def test_many_cut_responses_are_marked_in_addition_to_other_notes():
    rows = metric_rows([(t, str(i), r, 1.0, None) for t, r in (("x", -1.0), ("y", 1.0), ("z", 1.0)) for i in range(20)])
    cut = (pl.col("teacher") != "z") & (pl.col("id").cast(int) < 2)
    rows = rows.with_columns(cut=cut.cast(pl.Float64))
    got = ranked(rows, ["x", "y", "z"], dict.fromkeys("xyz"), "rm", 1.0, "none")
    many = "many responses are cut: raise max_new_tokens"
    assert dict(got.select("teacher", "cut").iter_rows()) == {"x": 0.1, "y": 0.1, "z": 0.0}
    notes = dict(got.select("teacher", "note").iter_rows())
    assert notes == {"x": f"negative reward: a larger loss raises CAR; {many}", "y": many, "z": None}


@pytest.mark.fault(7)
def test_a_teacher_with_too_many_gaps_is_named_and_stops_the_ranking():
    rows = metric_rows([("x", str(i), 1.0, 1.0, None if i < 7 else "empty") for i in range(10)])
    refuse_gaps(rows, ["x"], limit=0.3)
    with pytest.raises(SystemExit, match="more than 29% of the instructions have no usable row from x 30% of 10:"):
        refuse_gaps(rows, ["x"], limit=0.29)


def test_teachers_without_a_common_instruction_cannot_be_ranked():
    rows = metric_rows([("x", "1", 1.0, 1.0, None), ("x", "2", None, None, "empty"), ("y", "2", 1.0, 1.0, None)])
    with pytest.raises(SystemExit, match="b: no instruction has a usable row from each of x, y"):
        ranked(rows, ["x", "y"], {"x": None, "y": None}, "rm", 1.0, "none")


def test_ap_is_the_mean_of_the_named_scores():
    scores = [
        {"benchmark": "a", "judge": "gpt", "wr": {"value": 0.0, "se": 1.0}, "lc": {"value": 16.13, "se": 1.5}},
        {"benchmark": "c.d", "judge": "a reward model", "wr": {"value": 11.0, "se": 2.0}},
        {"benchmark": "other", "judge": "nobody", "wr": {"value": 99.0, "se": 2.0}},
    ]
    got = average([{"base": "b", "teacher": "t", **score} for score in scores], ["a.lc", "c.d.wr"])
    errors = {"ap_se": 1.25, "ap_margin": 1.96 * 1.25, "runs": 1, "seed_sd": None}  # (1.5^2 + 2^2)^.5 / 2
    scores = {"ap": 13.565, **errors, "a.lc": 16.13, "a.lc.se": 1.5, "c.d.wr": 11.0, "c.d.wr.se": 2.0}
    assert got.to_dicts() == [{"base": "b", "teacher": "t", **scores, "judged_by": "a reward model, gpt", "note": None}]


def test_r_of_car_is_the_mean_sigmoid_if_the_config_says_so():
    rows = metric_rows([("x", "1", 0.0, 1.0, None), ("x", "2", -50.0, 3.0, None)])
    (got,) = ranked(rows, ["x"], {"x": None}, "rm", 0.5, "sigmoid").to_dicts()
    assert got["sigmoid:rm"] == pytest.approx(0.25) and got["reward:rm"] == -25
    assert got["car"] == pytest.approx(0.25 / (1 + 0.5 * 2)) and got["note"] is None


def test_names_that_look_like_numbers_stay_names(tmp_path):
    write_table(pl.DataFrame({"base": ["1"], "teacher": ["0.70"], "family": ["1e5"], "ap": [2.5]}), tmp_path / "t.csv")
    assert read_csv(tmp_path / "t.csv").rows() == [("1", "0.70", "1e5", 2.5)]
