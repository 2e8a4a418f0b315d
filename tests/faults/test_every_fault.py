"""Each of the thirty faults has a test, and the table after a test run shows the results."""

import re

from conftest import ROOT
from faults_table import FAULTS, table


def test_every_fault_has_a_test():
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert {int(n) for n in re.findall(r"mark[.]fault[(](\d+)[)]", text)} == set(FAULTS) == set(range(1, 31))


def test_the_table_counts_the_outcomes_of_the_tests_of_a_fault():
    outcomes = {"a": "passed", "b": "failed", "c": "passed"}
    lines = table({"a": [1, 2], "b": [2], "c": [2], "d": [3]}, outcomes)
    assert [line[5:27].strip() for line in lines[:3]] == ["1 passed", "1 failed, 2 passed", "not in this run"]
