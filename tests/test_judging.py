"""The declared protocols; protocols exact and reward and their scores, compared with numbers computed by hand."""

import re

import numpy as np
import polars as pl
import pytest
import yaml
from scipy import stats

from conftest import ROOT
from scripts.configuration.config_references import scores_of
from scripts.configuration.protocols import PROTOCOLS
from scripts.judgments.comparisons import PAIRWISE
from scripts.judgments.judge_exact import extract_references, judge
from scripts.judgments.judge_reward import compare
from scripts.judgments.number_texts import number
from scripts.judgments.right_answers import RECIPES, Recipe, extract, is_right
from scripts.scores.intervals import mean_in_percent
from scripts.scores.two_games import win_rate

SCHEMA = yaml.safe_load((ROOT / "config/schema.yaml").read_text(encoding="utf-8"))["$defs"]
RULES = "".join((ROOT / f"rules/{name}.smk").read_text(encoding="utf-8") for name in ("judgments", "scores"))


def test_the_protocols_of_the_schema_are_exactly_the_declared_ones():
    assert {*PROTOCOLS, "lm_eval", None} == set(SCHEMA["benchmark"]["properties"]["protocol"]["enum"])
    named = {
        score
        for protocol in PROTOCOLS.values()
        for score in protocol.scores + protocol.length_controlled + protocol.of_turns
    }
    assert all(re.search(SCHEMA["score"]["pattern"], f"bench.{score}") for score in named)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_protocol_has_its_scripts_its_rules_and_its_template(name):
    protocol = PROTOCOLS[name]
    for folder, script in (("judgments", protocol.judged_by), ("scores", protocol.scored_by)):
        assert (ROOT / f"scripts/{folder}/{script}.py").exists()
        assert re.search(rf"^(use )?rule (\w+ as )?{script}\b", RULES, flags=re.M)
        assert f'_by("{script}")' in RULES
    if protocol.judge == "language model":
        assert (ROOT / f"config/judges/{name}.txt").exists()
        assert protocol.tokens_read > protocol.tokens_written > 0
    assert (protocol.judged_by == "judge_pairs") == (name in PAIRWISE)


def test_length_control_replaces_one_score_of_the_protocol_that_takes_it():
    takers = [name for name, protocol in PROTOCOLS.items() if protocol.length_controlled]
    assert takers == ["alpaca_eval"]
    assert scores_of("b", {"protocol": "alpaca_eval"}) == ["b.wr", "b.length_only"]
    assert scores_of("b", {"protocol": "alpaca_eval", "length_control": {}}) == ["b.wr", "b.lc"]


LAST_WORD = r"(\S+?)\.?\s*$"


@pytest.mark.parametrize(
    "answer, pattern, expected",
    [
        ("nab", LAST_WORD, "nab"),
        ("It is nab.", LAST_WORD, "nab"),
        ("n a b > b a n gives ban.\n", LAST_WORD, "ban"),
        ("", LAST_WORD, None),
        (None, LAST_WORD, None),
        ("so 12, no: 1,300 #### 42", r"####\s*(\S+)", "42"),
        ("3 then 17 then 5.", r"(\d+)", "5"),
        ("Answer: 7", r"#### (\d+)|Answer: (\d+)", "7"),
        ("#### 7", r"#### (\d+)|Answer: (\d+)", "7"),
    ],
)
def test_the_last_match_is_the_answer(answer, pattern, expected):
    assert extract(answer, (pattern,)) == expected


def joined(rows):
    names = ("id", "answer", "reason", "baseline_answer", "baseline_reason")
    schema = dict.fromkeys(names, pl.String)
    frame = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=schema)
    return frame.with_columns(benchmark=pl.lit("b"), base=pl.lit("m"), teacher=pl.lit("t"), reference=pl.lit(" Nab "))


def test_preference_is_one_for_a_win_half_for_a_tie_and_zero_for_a_loss():
    got = judge(
        joined(
            [
                ("win", "Nab", None, "ban", None),
                ("both right", "Nab", None, "It is Nab.", None),
                ("both wrong", "nab", None, None, "empty"),
                ("loss", None, "empty", "Nab", None),
                ("never asked", None, "prompt_over_long", "Nab", None),
            ]
        ),
        Recipe((LAST_WORD,), ()),
    )
    assert got["preference"].to_list() == [1.0, 0.5, 0.5, 0.0, None]
    assert got["correct"].to_list() == [True, True, False, False, None]
    assert got["reason"].to_list() == [None, None, None, None, "prompt_over_long"]


def test_case_is_ignored_only_if_the_configuration_says_so():
    row = joined([("1", "nab", None, "x", None)])
    assert judge(row, Recipe((LAST_WORD,), (), ignore_case=True))["correct"].to_list() == [True]
    assert judge(row, Recipe((LAST_WORD,), ()))["correct"].to_list() == [False]


LAST_NUMBER = r"(-?\d[\d,]*(?:\.\d+)?)"


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("The total is $18.00.", "18", True),
        ("**18.0**", "18", True),
        ("$2,125.", "2125", True),
        ("2125 dollars", "2,125", True),
        ("It is 18.5", "18", False),
        ("from 7 to -3", "-3", True),
        ("no idea", "3", False),
    ],
)
def test_numbers_are_compared_by_value_if_the_configuration_says_so(answer, reference, right):
    row = joined([("1", answer, None, "x", None)]).with_columns(reference=pl.lit(reference))
    got = judge(row, Recipe((LAST_NUMBER,), (), numeric=True))
    assert got["correct"].to_list() == [right]


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("$29.00", "29", True),
        ("-$5", "-5", True),
        ("−5", "-5", True),
        ("1{,}234", "1234", True),
        (r"1\,234", "1234", True),
        ("1 234", "1234", True),
        ("1,234,567.5", "1234567.5", True),
        ("1/2", "0.5", True),
        (r"\dfrac{1}{2}", "1/2", True),
        ("3.0e8", "300000000", True),
        (r"3 \times 10^{8}", "3e8", True),
        ("3,5", "3.5", True),
        ("1,2", "12", False),
        ("1,2", "1.2", True),
        ("25%", "25", True),
        (r"25\%", "0.25", True),
        ("25", "25%", True),
        ("25%", "26%", False),
        ("29.", "29", True),
        ("12 34", "1234", False),
        ("1/0", "0", False),
        ("nan", "nan", False),
        ("1e9999", "1", False),
        ("9" * 200, "9", False),
        ("29 dollars", "29", True),
    ],
)
def test_a_number_is_right_in_each_of_its_forms(answer, reference, right):
    assert is_right(answer, reference, numeric=True) == right


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("caf\u00e9", "cafe\u0301", True),
        ("New\u00a0York", "New York", True),
        ("New  York", "New York", True),
        ("“it’s”", "it's", True),
        ("Paris.", "Paris", True),
        ("**Paris**", "Paris", True),
        (r"\dfrac{\sqrt{3}}{2}", r"\frac{\sqrt{3}}{2}", True),
        (r"\left(1, 2\right)", "(1,2)", True),
        (r"\text{Yes}", "Yes", True),
        (r"$x^2$", "x^2", True),
        ("(b)", "b", True),
        ("b)", "b", True),
        ("(b)", "B", False),
        ("(b)", "c", False),
        ("Paris", "Rome", False),
        ("1.0", "1", False),
        ("ab", "a b", False),
    ],
)
def test_a_text_is_right_in_each_of_its_forms(answer, reference, right):
    assert is_right(answer, reference) == right


@pytest.mark.parametrize(
    ("recipe", "answer", "reference", "right"),
    [
        ("gsm8k", "3 and 4 are 7.\n#### 7\nCheck: 2 steps", "She has 3 + 4.\n#### 7", True),
        ("gsm8k", "It costs $1,300.50/hour.", "x #### 1300.5", True),
        ("gsm8k", "10-5 = 5 apples", "5", True),
        ("gsm8k", r"So \boxed{42} after 3 days", "42", True),
        ("gsm8k", "The change is −5.", "-5", True),
        ("gsm8k", "I do not know", "5", False),
        ("boxed", r"so $\boxed{\dfrac{\sqrt{3}}{2}}$.", r"Thus \boxed{\frac{\sqrt{3}}{2}}", True),
        ("boxed", r"\boxed{1}, no: \boxed{0.5}", r"\frac12", True),
        ("boxed", "the answer is 5", "5", False),
        ("choice", "The answer is (B).", "B", True),
        ("choice", "**Answer: C**", "(C)", True),
        ("choice", "A is wrong, as is B.\n\nD", "D", True),
        ("choice", r"\boxed{\text{A}}", "A) Paris", True),
        ("choice", "The answer is a dog (C)", "C", True),
        ("choice", "Answer: I think it is open", "I", False),
        ("choice", "The answer is B.", "A", False),
    ],
)
def test_a_recipe_finds_and_compares_the_answers_of_its_benchmarks(recipe, answer, reference, right):
    row = joined([("1", answer, None, "x", None)]).with_columns(reference=pl.lit(reference))
    row = extract_references(row, RECIPES[recipe], required=False)
    assert judge(row, RECIPES[recipe])["correct"].to_list() == [right]


def test_the_recipes_of_the_schema_are_exactly_the_declared_ones():
    assert {*RECIPES, None} == set(SCHEMA["benchmark"]["properties"]["recipe"]["enum"])


def test_numbers_that_are_none_have_no_value():
    assert number("nan") is number("a") is number("") is number("1/2/3") is None


def test_a_baseline_answer_that_is_missing_in_the_table_does_not_count_as_wrong():
    row = joined([("1", "Nab", None, None, "not_in_import"), ("2", "x", None, None, "no_response")])
    got = judge(row, Recipe((LAST_WORD,), ()))
    assert got["correct"].to_list() == [True, False] and got["preference"].to_list() == [None, None]
    assert set(got["reason"]) == {"no_baseline_answer"} and got["baseline_correct"].null_count() == 2


def test_a_score_is_the_mean_in_percent_with_its_standard_error():
    score = mean_in_percent(np.array([1, 0.5, 0.5, 0]))
    assert score["value"] == 50
    assert score["se"] == pytest.approx(100 * np.sqrt((0.25 + 0.25) / 3) / 2)


def test_the_interval_has_its_stated_coverage():
    rng = np.random.default_rng(0)
    intervals = [mean_in_percent(rng.choice([0, 0.5, 1], 100, p=[0.2, 0.5, 0.3]))["ci"] for _ in range(400)]
    hits = sum(low <= 55 <= high for low, high in intervals)
    assert stats.binomtest(hits, 400, 0.95).pvalue > 0.001


def test_the_interval_covers_every_value_that_is_not_known():
    known = np.array([1.0] * 30 + [0.0] * 30)
    score, wider = mean_in_percent(known), mean_in_percent(known, n_unparsed=6)
    assert wider["value"] == score["value"] == 50 and wider["se"] == score["se"]
    assert wider["ci"] == [
        mean_in_percent(np.append(known, np.zeros(6)))["ci"][0],
        mean_in_percent(np.append(known, np.ones(6)))["ci"][1],
    ]
    assert wider["ci"][0] < score["ci"][0] - 1 and wider["ci"][1] > score["ci"][1] + 1


def test_the_interval_of_games_covers_games_that_are_not_known():
    counts = np.array([[3, 0, 1], [1, 1, 0], [0, 0, 4], [2, 0, 0]] * 10, dtype=float)
    n_unparsed = np.array([0, 0, 0, 1] * 10)
    score, wider = win_rate(counts, 0 * n_unparsed), win_rate(counts, n_unparsed)
    assert wider["value"] == score["value"] == pytest.approx(100 * 65 / 120)
    # 120 points in 70 games: each of the 10 unknown ones counts 12 / 7, here all lost and all won
    weight = 10 * 120 / 70
    assert wider["ci"][0] < 100 * 65 / (120 + weight) < wider["value"]
    assert wider["ci"][1] > 100 * (65 + weight) / (120 + weight) > wider["value"]
    assert wider["ci"][0] < score["ci"][0] and wider["ci"][1] > score["ci"][1]


def test_the_higher_reward_wins_and_a_missing_reward_has_a_reason():
    ids = ["higher", "lower", "equal", "empty", "unasked", "too long", "no baseline"]
    prompts = pl.DataFrame({"id": ids})
    texts = [None if i in ("empty", "unasked") else "text" for i in ids]
    reasons = [{"empty": "empty", "unasked": "prompt_over_long"}.get(i) for i in ids]
    names = {"benchmark": pl.lit("b"), "base": pl.lit("m"), "teacher": pl.lit("t")}
    answers = pl.DataFrame({"id": ids, "answer": texts, "reason": reasons}).with_columns(**names)
    model = {"higher": 2.0, "lower": -1.0, "equal": 1.0, "too long": None, "no baseline": 1.0}
    unusable = [("over_long" if i == "too long" else None) for i in model]
    model = pl.DataFrame({"id": list(model), "model": list(model.values()), "model_unusable": unusable})
    baseline = pl.DataFrame({"id": ids[:-1], "baseline": [1.0] * 6}).with_columns(
        baseline_unusable=pl.lit(None, pl.String)
    )
    got = compare(prompts, answers, model, baseline)
    assert got["id"].to_list() == ids
    assert got["preference"].to_list() == [1.0, 0.0, 0.5, 0.0, None, None, None]
    assert got["reason"].to_list() == [None] * 4 + ["prompt_over_long", "over_long", "no_baseline_reward"]
