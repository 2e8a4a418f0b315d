"""Tables that were computed from different models, responses or judges are never joined."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from conftest import ROOT
from scripts.correlations import average_performance
from scripts.likelihoods import score_likelihoods
from scripts.mixes import take_mixed
from scripts.ranking import join_metrics, measure_diversity, rank_teachers
from scripts.rewards import score_rewards
from scripts.tables.files import read_table, write_table
from scripts.tables.identity import identity_of

IDS, TEACHERS = ["x", "y"], ["one", "two"]
OF_TEACHER = {"family": None, "compare": True, "parameters": None, "published_score": None}


@pytest.fixture
def study(tiny, tiny_reward_model, tmp_path, monkeypatch):
    """Two teachers' responses and a base, in a folder; `run` starts a script there as a rule does."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny, "base")
    shutil.copytree(tiny_reward_model, "reward-model")
    write_table(pl.DataFrame({"id": IDS, "instruction": ["Add 1", "Add 2"], "messages": None}), tmp_path / "i.parquet")
    for name in TEACHERS:
        responses(name, ["2", "3"])
    return tmp_path


def responses(teacher, texts):
    columns = {"id": IDS, "candidate": 0, "teacher": teacher, "response": texts, "turns": None}
    columns |= {"finish_reason": "stop", "n_tokens": 1, "reason": None}
    types = {"turns": pl.String, "reason": pl.String}
    write_table(pl.DataFrame(columns, schema_overrides=types), Path(f"responses-{teacher}.parquet"))


@pytest.fixture
def run(study, monkeypatch):
    def start(module, **options):
        words = [[f"--{name}".replace("_", "-"), *map(str, values)] for name, values in options.items()]
        monkeypatch.setattr("sys.argv", ["x", *(word for part in words for word in part)])
        module.main()

    return start


def score(run, teacher):
    of_teacher = {"teachers": [teacher], "instructions": ["i.parquet"], "responses": [f"responses-{teacher}.parquet"]}
    base = json.dumps({"model": "./base", "chat_template": str(ROOT / "config/templates/plain.jinja")})
    store, output = [f"rows/{teacher}"], [f"likelihoods-{teacher}.parquet"]
    run(score_likelihoods, name=["b"], prompt=["chat"], model=[base], store=store, outputs=output, **of_teacher)


def reward(run, teacher):
    of_teacher = {"teachers": [teacher], "instructions": ["i.parquet"], "responses": [f"responses-{teacher}.parquet"]}
    model, store, output = ['{"model": "./reward-model"}'], [f"rows/{teacher}"], [f"rewards-{teacher}.parquet"]
    run(score_rewards, reward_model=["r"], model=model, store=store, outputs=output, **of_teacher)


def join(run, teacher):
    diversity, output = [f"diversity-{teacher}.parquet"], [f"metrics-{teacher}.parquet"]
    run(measure_diversity, teachers=[teacher], responses=[f"responses-{teacher}.parquet"], outputs=diversity)
    scored = {"likelihoods": [f"likelihoods-{teacher}.parquet"], "rewards": [f"rewards-{teacher}.parquet"]}
    run(join_metrics, base=["b"], diversity=diversity, outputs=output, **scored)


def rank(run):
    options = {"car": ['{"reward_model": "r", "beta": 1, "transform": "none"}'], "families": ['{"b": null}']}
    options |= {"teachers": [json.dumps(dict.fromkeys(TEACHERS, OF_TEACHER))], "max_set_aside": [0.2]}
    run(rank_teachers, metrics=[f"metrics-{name}.parquet" for name in TEACHERS], output=["teachers.csv"], **options)


def another_model(folder):
    """Other weights in the same file."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: value * 1.5 for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})


def test_losses_by_two_models_are_never_ranked_in_one_table(study, run):
    for name in TEACHERS:
        if name == "two":
            another_model(study / "base")
        score(run, name)
        reward(run, name)
        join(run, name)
    with pytest.raises(SystemExit) as error:
        rank(run)
    assert "\n" not in str(error.value)
    assert "metrics-one.parquet and metrics-two.parquet were computed from a different model b" in str(error.value)
    assert "--forcerun score_likelihoods score_reference_likelihoods: finished rows are found" in str(error.value)
    score(run, "one")
    join(run, "one")
    rank(run)
    assert pl.read_csv(study / "teachers.csv")["teacher"].to_list() == TEACHERS


def test_rewards_and_losses_of_different_responses_are_not_joined(study, run):
    score(run, "one")
    responses("one", ["2", "4"])
    reward(run, "one")
    with pytest.raises(SystemExit, match=r"computed from a different responses.* --forcerun score_likelihoods .*div"):
        join(run, "one")


def test_a_mix_takes_no_rewards_of_two_models(study, run):
    reward(run, "one")
    another_model(study / "reward-model")
    reward(run, "two")
    mixed = read_table(study / "responses-one.parquet").with_columns(mixed_from=pl.lit("one"))
    write_table(mixed, study / "responses-mix.parquet")
    options = {"teacher": ["mix"], "responses": ["responses-mix.parquet"], "output": ["rewards-mix.parquet"]}
    with pytest.raises(SystemExit, match=r"rewards-one.parquet and rewards-two.parquet were .* reward model r"):
        run(take_mixed, sources=["rewards-one.parquet", "rewards-two.parquet"], **options)
    reward(run, "one")
    run(take_mixed, sources=["rewards-one.parquet", "rewards-two.parquet"], **options)
    identity = {name: identity_of(study / f"rewards-{name}.parquet") for name in ("mix", "one")}
    assert identity["mix"]["reward model r"] == identity["one"]["reward model r"]
    assert identity["mix"]["responses"] != identity["one"]["responses"]


def test_a_table_of_an_older_version_fits_every_other(study, run):
    for name in TEACHERS:
        score(run, name)
        reward(run, name)
    pl.read_parquet(study / "likelihoods-one.parquet").write_parquet(study / "likelihoods-one.parquet")
    assert identity_of(study / "likelihoods-one.parquet") == {}
    for name in TEACHERS:
        join(run, name)
    rank(run)
    assert pl.read_csv(study / "teachers.csv").height == 2


@pytest.mark.parametrize("source", ["judge", "prompts", "baseline"])
def test_scores_from_other_judges_prompts_or_baselines_are_not_averaged(study, run, source):
    for i, teacher in enumerate(TEACHERS):
        same = {"judge": "j", "prompts": "p", "baseline": "b"}
        value = {"benchmark": "quiz", "base": "b", "teacher": teacher, "judge": "j", "wr": {"value": 50, "se": 1}}
        text = json.dumps(value | {"computed_from": same | {source: str(i)}})
        (study / f"{teacher}.json").write_text(text, encoding="utf-8")
    paths = [f"{name}.json" for name in TEACHERS]
    with pytest.raises(SystemExit, match=rf"one.json and two.json were computed from a different {source}: .* judge_"):
        run(average_performance, ap=["quiz.wr"], treatments=['{"b": "full"}'], scores=paths, output=["p.csv"])
