"""The output of each costly stage is held under its VERSION: who changes it has to raise the VERSION, or undo it."""

import json
import math

import pytest

import costly_inputs
import costly_outputs
from conftest import ROOT
from scripts.jobs.code import versions_of
from test_code import COSTLY

FOLDER = ROOT / "tests/data/versions"
OPENAI, TRANSFORMERS = "scripts.engines.engine_openai", "scripts.engines.engine_transformers"
# what is compared: the modules whose VERSIONs apply
STAGES = {
    "check_models": ["scripts.checks.check_models"],
    "write_miniature_instructions": ["scripts.miniature.write_miniature_instructions"],
    "train_miniature_tokenizer": ["scripts.miniature.train_miniature_tokenizer"],
    "train_miniature_teachers": ["scripts.miniature.train_miniature_teachers"],
    "train_miniature_bases": ["scripts.miniature.train_miniature_bases"],
    "train_miniature_reward_model": ["scripts.miniature.train_miniature_reward_model"],
    "train_miniature_judge": ["scripts.miniature.train_miniature_judge"],
    "generate_responses": ["scripts.responses.generate_responses", TRANSFORMERS],
    "generate_responses_openai": ["scripts.responses.generate_responses", OPENAI],
    "prepare_instructions": ["scripts.instructions.prepare_instructions"],
    "import_responses": ["scripts.responses.import_responses"],
    "select_responses": ["scripts.responses.select_responses"],
    "import_rewards": ["scripts.rewards.import_rewards"],
    "select_rewards": ["scripts.rewards.select_rewards"],
    "mix_responses": ["scripts.mixes.mix_responses"],
    "take_mixed": ["scripts.mixes.take_mixed"],
    "import_baseline": ["scripts.answers.import_baseline"],
    "score_rewards": ["scripts.rewards.score_rewards"],
    "score_likelihoods": ["scripts.likelihoods.score_likelihoods"],
    "score_lalp": ["scripts.likelihoods.score_lalp"],
    "score_gradients": ["scripts.gradients.score_gradients"],
    "finetune": ["scripts.finetuning.finetune"],
    "answer_benchmark": ["scripts.answers.answer_benchmark", TRANSFORMERS],
    "judge_pairs": ["scripts.judgments.judge_pairs", OPENAI],
    "judge_grades": ["scripts.judgments.judge_grades", OPENAI],
    "judge_reward": ["scripts.judgments.judge_reward"],
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_costly_stage_gives_what_it_gave_under_its_version(stage, tmp_path, tiny, tiny_reward_model, pytestconfig):
    versions = json.loads(versions_of(*STAGES[stage]))
    output = json.loads(json.dumps(function_of(stage)(tmp_path, tiny, tiny_reward_model)))
    path = FOLDER / f"{stage}.json"
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"versions": None, "output": None}
    if pytestconfig.getoption("--record") and recorded["versions"] != versions:
        path.write_text(json.dumps({"versions": versions, "output": output}, indent=1, ensure_ascii=False) + "\n")
        return
    changes = list(differences(recorded["output"], output))
    if not changes and recorded["versions"] == versions:
        return
    raised = "has another VERSION" if recorded["versions"] != versions else "gives another output under its VERSION"
    pytest.fail(
        f"{stage} {raised}: {'; '.join(changes[:3])}\n"
        "If results should not change: undo what changed them.\n"
        f"If they should: raise VERSION in {' or '.join(versions)}, mark it **reruns** in CHANGELOG.md, and hold "
        "the new output with: pytest tests/test_versions.py --record"
    )


def function_of(stage):
    return getattr(costly_outputs, stage, None) or getattr(costly_inputs, stage)


def differences(before, now, where="output"):
    """The places in which two JSON values differ, numbers by more than rounding on another processor."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from differences(before.get(key), now.get(key), f"{where}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, pair in enumerate(zip(before, now, strict=True)):
            yield from differences(*pair, f"{where}[{i}]")
    elif isinstance(before, float) and isinstance(now, float):
        if not math.isclose(before, now, rel_tol=1e-3, abs_tol=1e-4):
            yield f"{where} was {before} and is {now}"
    elif before != now:
        yield f"{where} was {str(before)[:80]} and is {str(now)[:80]}"


def test_the_output_of_every_stage_that_is_kept_by_version_is_held():
    held = {scripts[0] for scripts in STAGES.values()}
    assert held == COSTLY - {
        "scripts.tasks.evaluate_tasks"
    }  # needs lm_eval: tests/test_lm_eval.py computes its numbers


def test_a_difference_is_found_wherever_it_is():
    before = {"a": [1.0, {"b": "x"}], "c": None}
    assert list(differences(before, {"a": [1.0 + 1e-6, {"b": "x"}], "c": None})) == []
    assert list(differences(before, {"a": [1.1, {"b": "x"}], "c": None})) == ["output.a[0] was 1.0 and is 1.1"]
    assert list(differences(before, {"a": [1.0, {"b": "y"}]})) == ["output.a[1].b was x and is y"]
    assert len(list(differences(before, {"a": [1.0], "c": 0, "d": 1}))) == 3
