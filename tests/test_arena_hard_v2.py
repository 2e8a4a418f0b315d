"""Arena-Hard v2 gives what arena-hard-auto's own code gives for the same answers and texts of a judge."""

import json

import numpy as np
import polars as pl
import pytest

from conftest import ROOT
from scripts.judgments.judge_outputs import read_last_label
from scripts.judgments.verdict_labels import last_label, verdict
from scripts.scores import score_arena_hard_v2
from scripts.scores.style_control import differences, fit, normalized, style_of
from scripts.tables.files import write_table

DATA = ROOT / "tests/data/arena_hard_v2"  # synthetic answers and games, scored by arena-hard-auto
ANSWERS, GAMES = (pl.read_parquet(DATA / f"{name}.parquet") for name in ("answers", "games"))
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
BASELINE, MODELS = "o3-mini-2025-01-31", sorted(EXPECTED["win_rate"])


def judgments_of(model):
    judged = {name: pl.lit(None, kind) for name, kind in {"decided": pl.String, "second_text": pl.String}.items()}
    judged |= {"reason": pl.lit(None, pl.String), "answer_cut": pl.lit(False), "cut": pl.lit(False)}
    judged |= {"n_tokens": pl.lit(9), "n_prompt_tokens": pl.lit(9), "usd": pl.lit(None, pl.Float64)}
    games = GAMES.filter(pl.col("model") == model).drop("model")
    return games.with_columns(switched=pl.col("game") == 2, **judged)


def scores(folder, *options, drop=None, models=MODELS):
    """The scores of all models, from one run of the script."""
    reason = pl.lit(None, pl.String).alias("reason")
    for model in [*MODELS, BASELINE]:
        mine = ANSWERS.filter(pl.col("model") == model).select("id", "answer", reason)
        write_table(mine, folder / f"{model}.answers.parquet")
        if model != BASELINE:
            write_table(judgments_of(model), folder / f"{model}.judgments.parquet")
    if drop is not None:
        write_table(drop, folder / f"{models[0]}.judgments.parquet")
    given = {"benchmark": ["b"], "pairs": [f"x/{m}" for m in models], "baseline": ["o3"], "judge": ["j"]}
    for name, ending in (("judgments", "judgments.parquet"), ("answers", "answers.parquet"), ("outputs", "json")):
        given[name] = [str(folder / f"{model}.{ending}") for model in models]
    given["baseline-answers"] = [str(folder / f"{BASELINE}.answers.parquet")]
    arguments = [text for name, values in given.items() for text in (f"--{name}", *values)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["x", *arguments, *options])
        patch.setattr(score_arena_hard_v2, "RESAMPLES", 20)
        score_arena_hard_v2.main()
    return {model: json.loads((folder / f"{model}.json").read_text()) for model in models}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return scores(tmp_path_factory.mktemp("v2"), "--strict-verdicts")


def test_win_rates_equal_those_of_the_original(scored):
    for model in MODELS:
        assert scored[model]["wr"]["value"] == pytest.approx(EXPECTED["win_rate"][model], abs=1e-9)
        low, high = scored[model]["wr"]["ci_of_leaderboard"]
        assert (low, high) == pytest.approx(tuple(EXPECTED["ci_of_battles"][model]), abs=1)
    assert sum(40 - scored[model]["n"] for model in MODELS) == EXPECTED["null"] == 3


def test_win_rates_at_equal_style_equal_those_of_the_original(scored):
    for model in MODELS:
        found = scored[model]["style_controlled"]
        assert found["value"] == pytest.approx(EXPECTED["style_controlled"][model], abs=0.001)
        # the original stops after 50 steps, before its fit has converged
        assert found["value"] == pytest.approx(EXPECTED["style_controlled_50_epochs"][model], abs=0.1)
        assert found["ci"][0] < found["value"] < found["ci"][1] and next(iter(found["weights"])) == "length"


@pytest.mark.parametrize("model", [*MODELS, BASELINE])
def test_headers_lists_and_bold_words_are_counted_as_in_the_original(model):
    answers = ANSWERS.filter(pl.col("model") == model)["answer"]
    assert [style_of(answer) for answer in answers] == EXPECTED["counts"][model]


def test_what_is_in_code_is_no_style():
    text = "# One\n\n**b** and __c__\n1. x\n- y\n```python\n# comment\n- no\n**no**\n```\n####### seven"
    assert style_of(text) == [len(text), 1, 2, 2] and style_of(None) == style_of("") == [0, 0, 0, 0]


def test_a_question_with_one_verdict_does_not_count_and_widens_the_interval(scored, tmp_path):
    model = MODELS[0]
    lost = pl.when((pl.col("game") == 1) & (pl.col("id") == "q3")).then(pl.lit("no idea")).otherwise("text")
    found = scores(tmp_path, drop=judgments_of(model).with_columns(text=lost))[model]
    rest = GAMES.filter((pl.col("model") == model) & (pl.col("id") != "q3"))
    assert found["n"] == scored[model]["n"] - 1 and found["n_unparsed"] == scored[model]["n_unparsed"] + 1
    wins = {"A>>B": (3, 3), "A>B": (1, 1), "A=B": (0.5, 1), "B>A": (0, 1), "B>>A": (0, 3)}
    whole = rest.filter(pl.col("text").str.contains("cannot decide").any().over("id").not_())
    points = [(wins[verdict(text)], game) for text, game in whole.select("text", "game").rows()]
    won = sum(part if game == 2 else total - part for (part, total), game in points)
    assert found["wr"]["value"] == pytest.approx(100 * won / sum(total for (_, total), _ in points))
    width = [score["wr"]["ci"][1] - score["wr"]["ci"][0] for score in (found, scored[model])]
    assert width[0] > width[1]


def test_a_pair_without_a_score_leaves_the_others_one(scored, tmp_path):
    none = judgments_of(MODELS[0]).with_columns(text=pl.lit("no idea"))
    found = scores(tmp_path, drop=none)
    assert found[MODELS[0]]["style_controlled"]["value"] is found[MODELS[0]]["wr"]["value"] is None
    assert found[MODELS[0]]["reason"].startswith("80 of 80 judgments cannot be read")
    assert found[MODELS[1]]["wr"] == scored[MODELS[1]]["wr"] and found[MODELS[1]]["style_controlled"]["value"] > 0


def test_control_of_style_removes_what_only_style_wins():
    rng = np.random.default_rng(0)
    model = np.repeat([0, 1], 4000)
    style = rng.normal(size=(8000, 4))
    style[model == 1, 0] += 1  # the second model is more verbose, and as good
    won = (rng.random(8000) < 1 / (1 + np.exp(-1.5 * style[:, 0]))).astype(float)
    assert won[model == 1].mean() > 0.65
    shifted = normalized(style, np.ones(8000))
    both, weights = fit(model, shifted, won, 1 - won)
    assert both[1] - both[0] == pytest.approx(0, abs=4)
    assert weights[0] > 1 and np.abs(weights[1:]).max() < 0.1


def test_differences_in_style_are_relative():
    model, baseline = np.array([[300.0, 3, 0, 1], [0, 0, 0, 0]]), np.array([[100.0, 1, 2, 1], [0, 0, 0, 0]])
    of_model, of_baseline = 3 / 301, 1 / 101
    got = differences(model, baseline)
    assert got[0, 0] == 0.5 and got[0, 1] == pytest.approx((of_model - of_baseline) / (of_model + of_baseline + 1))
    assert not got[1].any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[A>B]] ... no: [[B>A]]", "B>A"),
        ("[[a>>b]]", "A>>B"),
        ("[[A<<B]]", "B>>A"),
        ("[[B<A]]", "A>B"),
        ("[[B=A]]", "A=B"),
        ("Verdict: [A>B]", "A>B"),
        ("[A>B], but [[B>A]] above [A=B]", "B>A"),  # double brackets come first
        ("[[ A>B ]]", None),
        ("[[A>B>A]]", None),
        ("<think>[[A>B]]", "A>B"),  # the original reads thinking, too
        ("", None),
    ],
)
def test_the_strict_reading_takes_the_last_label(text, expected):
    assert last_label(text) == expected == read_last_label({"text": text, "second_text": None})
