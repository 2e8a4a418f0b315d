"""Who is first by each score, and Kendall's tau of each two scores, by hand."""

import polars as pl
import pytest

from scripts.metrics.definitions import METRICS
from scripts.ranking.compare_scores import compare

TEACHERS = pl.DataFrame(
    {"base": "b", "teacher": ["x", "y", "z"], "car": [3.0, 2.0, 1.0], "loss": [1.0, 3.0, 2.0]}
    | {"rsr": [2.0, 2.0, 5.0], "scas": [None, None, None], "entropy": [1.0, 1.0, 1.0], "reward:rm": [1.0, 2.0, 3.0]}
)


def test_each_score_has_its_first_teachers_and_tau_with_each_other():
    rows = compare(TEACHERS, ["car", "reward:rm", "loss", "rsr", "scas", "entropy"])
    found = {row["score"]: row for row in rows}
    firsts = {"car": "x", "reward:rm": "z", "loss": "x", "rsr": "x, y", "scas": None, "entropy": None}
    assert {score: row["first"] for score, row in found.items()} == firsts
    assert found["scas"]["note"] == "n/a: scas is missing for a teacher"
    assert found["entropy"]["note"] == "n/a: entropy is the same for every teacher"
    # of three pairs of teachers, car and minus the loss order two alike and one not; rsr has a tie
    assert found["car"]["tau:loss"] == pytest.approx(1 / 3) and found["car"]["tau:reward:rm"] == pytest.approx(-1)
    assert found["car"]["tau:rsr"] == pytest.approx(2 / 6**0.5) and found["loss"]["tau:car"] == pytest.approx(1 / 3)
    assert "tau:scas" not in found["car"] and {"scas", "entropy"} <= METRICS.keys()
