"""For each instruction, a mix takes the response with the highest CAR for its base, with its reward and likelihood."""

import polars as pl
import pytest

from conftest import ROOT
from scripts.mixes import mix_responses, take_mixed

# teacher to (reward, loss, reason) of the ids a, b, c, d
SCORES = {
    "x": [(0.0, 1.0, None), (2.0, 0.5, None), (None, None, "empty"), (None, None, "over_long")],
    "y": [(-1.0, 0.1, None), (2.0, 0.5, None), (-9.0, 3.0, None), (None, None, "empty")],
}
# a: sigmoid(0) / 2 = .25 and sigmoid(-1) / 1.1 = .244; b: equal CARs; c: only y is usable; d: neither
CHOSEN = ["x", "x", "y", None]


@pytest.fixture
def sources(tmp_path):
    for teacher, cells in SCORES.items():
        reward, loss, reason = zip(*cells, strict=True)
        frame = pl.DataFrame(
            {"id": list("abcd"), "teacher": teacher, "reward": reward, "loss": loss, "reason": reason},
            schema_overrides={"reason": pl.String},
        )
        sums = {"nll": 3 * pl.col("loss"), "end_nll": pl.col("loss"), "n_tokens": 3, "end_n_tokens": 1}
        frame.select("id", "teacher", "reason", **sums).write_parquet(tmp_path / f"likelihoods-{teacher}.parquet")
        rewards = frame.select("id", "teacher", "reward", "reason", candidate=0, reward_model=pl.lit("rm"))
        rewards.select("id", "candidate", "teacher", "reward_model", "reward", "reason").write_parquet(
            tmp_path / f"rewards-{teacher}.parquet"
        )
        text = pl.when(pl.col("reason") != "empty").then(pl.format("{} of {}", "id", "teacher"))
        text = pl.when(pl.col("reason").is_null()).then(pl.format("{} of {}", "id", "teacher")).otherwise(text)
        # over_long is a reason of the base's likelihood, not of the response
        unusable = pl.when(pl.col("reason") == "empty").then(pl.lit("empty"))
        frame.select(
            "id",
            "teacher",
            candidate=0,
            response=text,
            turns=pl.lit(None, pl.String),
            finish_reason=pl.lit("stop"),
            n_tokens=1,
            n_prompt_tokens=2,
            reason=unusable,
        ).write_parquet(tmp_path / f"responses-{teacher}.parquet")
    return tmp_path


@pytest.fixture
def mixed(sources, monkeypatch):
    files = {
        kind: [sources / f"{kind}-{t}.parquet" for t in SCORES] for kind in ("responses", "rewards", "likelihoods")
    }
    command = ["x", "--teacher", "mix", "--beta", "1.0"]
    for kind, paths in files.items():
        command += [f"--{kind}", *map(str, paths)]
    monkeypatch.setattr("sys.argv", [*command, "--output", str(sources / "responses-mix.parquet")])
    mix_responses.main()
    command = ["x", "--teacher", "mix", "--responses", str(sources / "responses-mix.parquet"), "--sources"]
    monkeypatch.setattr(
        "sys.argv", [*command, *map(str, files["rewards"]), "--output", str(sources / "rewards-mix.parquet")]
    )
    take_mixed.main()
    return sources


def test_the_response_with_the_highest_car_by_sigmoid_is_chosen_and_a_missing_one_has_a_reason(mixed):
    got = pl.read_parquet(mixed / "responses-mix.parquet")
    assert got["mixed_from"].to_list() == CHOSEN and set(got["teacher"]) == {"mix"}
    assert got["response"].to_list() == ["a of x", "b of x", "c of y", None]
    assert got["reason"].to_list() == [None, None, None, "no_usable_response"]


def test_rewards_are_those_of_the_chosen_responses(mixed):
    got = pl.read_parquet(mixed / "rewards-mix.parquet")
    assert got.columns == pl.read_parquet(mixed / "rewards-x.parquet").columns
    assert got["reward"].to_list() == [0.0, 2.0, -9.0, None] and got["id"].to_list() == list("abcd")
    assert set(got["teacher"]) == {"mix"} and set(got["reward_model"]) == {"rm"}
    assert got["reason"].to_list() == [None, None, None, "no_usable_response"]


@pytest.mark.study
def test_the_miniature_mix_has_the_best_responses_with_their_scores(study):
    results = ROOT / "results/miniature"
    mixed = pl.read_parquet(results / "responses/mix-alpha.parquet").select("id", "response", teacher="mixed_from")
    columns = ["id", "teacher", "loss", "reward:right-answer", "reason"]
    rows = pl.concat(
        [
            pl.read_parquet(p, columns=columns)
            for p in (results / "metrics/alpha").glob("*.parquet")
            if "mix" not in p.name
        ]
    ).filter(pl.col("reason").is_null())
    value = 1 / (1 + (-pl.col("reward:right-answer")).exp()) / (1 + pl.col("loss"))
    best = rows.with_columns(car=value).sort("car", descending=True).group_by("id").first()
    taken = mixed.join(rows.with_columns(car=value), on=["id", "teacher"], validate="1:1")
    assert taken.height == mixed.height == best.height and mixed["teacher"].n_unique() > 2
    assert taken.sort("id")["car"].to_list() == best.sort("id")["car"].to_list()
    mix = pl.read_parquet(results / "metrics/alpha/mix-alpha.parquet", columns=columns)
    assert mix.sort("id")["loss"].to_list() == taken.sort("id")["loss"].to_list()
    responses = pl.concat(
        [pl.read_parquet(results / f"responses/{t}.parquet") for t in taken["teacher"].unique()], how="diagonal"
    )
    assert (
        mixed.join(responses, on=["id", "teacher"])
        .select(pl.col("response") == pl.col("response_right"))
        .to_series()
        .all()
    )


@pytest.mark.study
def test_a_mix_is_a_teacher_of_its_base_only_and_is_not_ranked(study):
    tables = ROOT / "results/miniature/tables"
    teachers = pl.read_csv(tables / "teachers.csv").filter(pl.col("teacher").str.starts_with("mix"))
    assert teachers.select("base", "teacher", "rank").rows() == [
        ("alpha", "mix-alpha", None),
        ("beta", "mix-beta", None),
    ]
    performance = pl.read_csv(tables / "performance.csv").filter(pl.col("teacher").str.starts_with("mix"))
    assert sorted(performance.select("base", "teacher").rows()) == [("alpha", "mix-alpha"), ("beta", "mix-beta")]
    assert set(pl.read_csv(tables / "correlations.csv")["n"]) == {12}
