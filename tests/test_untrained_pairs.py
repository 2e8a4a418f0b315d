"""A pair whose fine-tuning failed has no answers, no judgments and no score, with every protocol."""

import json

import polars as pl
import pytest

from scripts.answers import answer_benchmark
from scripts.correlations.average_performance import average
from scripts.judgments import graded_answers, judge_exact, judge_reward
from scripts.judgments.comparisons import join_outputs, list_comparisons, undecided
from scripts.models.folder import publish_failure
from scripts.scores import (
    score_alpaca_eval,
    score_arena_hard,
    score_arena_hard_v2,
    score_grade,
    score_judgments,
    score_label,
)
from scripts.tables.files import read_table, write_table

PROMPTS = pl.DataFrame({"id": list("abc"), "instruction": ["One?", "Two?", "Three?"], "reference": ["1", "2", "3"]})
PROMPTS = PROMPTS.with_columns(raw_instruction="instruction")


def run(script, monkeypatch, **given):
    given = {name.replace("_", "-"): value for name, value in given.items()}
    monkeypatch.setattr("sys.argv", ["x", *(str(x) for name, value in given.items() for x in (f"--{name}", value))])
    script.main()


@pytest.fixture
def answers(tmp_path, monkeypatch):
    publish_failure("loss nan at step 7: lower finetune.learning_rate", tmp_path / "model")
    write_table(PROMPTS, tmp_path / "prompts.parquet")
    baseline = {"id": list("abc"), "answer": ["1", "2", None], "reason": [None, None, "empty"]}
    write_table(pl.DataFrame(baseline), tmp_path / "baseline.parquet")
    given = {
        "benchmarks": "m",
        "base": "b",
        "teacher": "t",
        "samplings": "{}",
        "api": "{}",
        "stores": tmp_path / "rows",
    }
    given |= {"model": json.dumps({"engine": "transformers", "model": str(tmp_path / "model")})}
    given |= {"prompts": tmp_path / "prompts.parquet", "outputs": tmp_path / "answers.parquet"}
    run(answer_benchmark, monkeypatch, **given)
    return read_table(tmp_path / "answers.parquet")


def test_no_answer_is_generated_and_each_row_has_the_reason(answers, tmp_path):
    assert answers.select("id", "answer", "reason").rows() == [(i, None, "not_trained") for i in "abc"]
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize(
    "protocol", ["exact", "reward", "alpaca_eval", "arena_hard", "arena_hard_v2", "label", "grade"]
)
def test_no_protocol_computes_a_score(answers, protocol, tmp_path, monkeypatch):
    baseline = read_table(tmp_path / "baseline.parquet")
    if protocol == "exact":
        spec = {"recipe": None, "answer_pattern": r"(\d+)", "reference_pattern": None}
        spec = json.dumps(spec | {"ignore_case": False, "numeric": False})
        names = {name: tmp_path / f"{name}.parquet" for name in ("prompts", "baseline", "answers")}
        run(judge_exact, monkeypatch, spec=spec, outputs=tmp_path / "judgments.parquet", **names)
    elif protocol == "reward":
        none = pl.DataFrame(schema={"id": pl.String, "model": pl.Float64, "model_unusable": pl.String})
        rewards = {"id": ["a", "b"], "baseline": [1.0, 2.0], "baseline_unusable": [None, None]}
        rewards = pl.DataFrame(rewards, schema_overrides={"baseline_unusable": pl.String})
        write_table(judge_reward.compare(PROMPTS, answers, none, rewards), tmp_path / "judgments.parquet")
    elif protocol == "grade":
        graded = graded_answers.list_answers(PROMPTS, answers)
        assert set(graded["reason"]) == {"not_trained"} and not graded_answers.undecided(graded).height
        write_table(graded_answers.join_outputs(graded, []), tmp_path / "judgments.parquet")
    else:
        comparisons = list_comparisons(protocol, PROMPTS, answers, baseline)
        assert set(comparisons["reason"]) == {"not_trained"} and not undecided(comparisons).height
        write_table(join_outputs(comparisons, [], protocol), tmp_path / "judgments.parquet")
    assert set(read_table(tmp_path / "judgments.parquet")["reason"]) == {"not_trained"}
    scripts = {"alpaca_eval": score_alpaca_eval, "arena_hard": score_arena_hard, "label": score_label}
    scripts |= {"arena_hard_v2": score_arena_hard_v2, "grade": score_grade}
    given = {"benchmark": "m", "pairs": "b/t", "baseline": "them", "judge": "j"}
    if protocol == "arena_hard_v2":
        given |= {"answers": tmp_path / "answers.parquet", "baseline_answers": tmp_path / "baseline.parquet"}
    run(
        scripts.get(protocol, score_judgments),
        monkeypatch,
        judgments=tmp_path / "judgments.parquet",
        outputs=tmp_path / "score.json",
        **given,
    )
    score = json.loads((tmp_path / "score.json").read_text())
    kind = {"alpaca_eval": "length_only", "grade": "grade"}.get(protocol, "wr")
    assert score["reason"] == "not_trained" and score[kind]["value"] is None
    (row,) = average([score], [f"m.{kind}"]).to_dicts()
    assert row["ap"] is None and row["note"] == "not_trained"
