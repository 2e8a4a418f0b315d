"""A selection takes the right candidate of a pool, together with its reward."""

import polars as pl
import pytest

from scripts.responses import select_responses
from scripts.rewards import select_rewards

# id, candidate, response, reward; a candidate without a response or without a reward cannot be selected
POOL = [
    ("a", 0, "a0", 1.0),
    ("a", 1, "a1", 3.0),
    ("a", 2, "a2", -2.0),
    ("b", 0, None, None),
    ("b", 1, "b1", 5.0),
    ("b", 2, "b2", 5.0),
    ("c", 0, None, None),
    ("c", 1, None, None),
    ("c", 2, "c2", None),
]


@pytest.fixture
def pool(tmp_path):
    names = ["id", "candidate", "response", "reward"]
    frame = pl.DataFrame(POOL, schema=names, orient="row").with_columns(pl.col("candidate").cast(pl.Int32))
    reason = pl.when(pl.col("response").is_null()).then(pl.lit("empty")).alias("reason")
    same = {"teacher": pl.lit("pool"), "turns": pl.lit(None, pl.String), "finish_reason": pl.lit("stop")}
    responses = frame.with_columns(reason, **same, n_tokens=pl.lit(1), n_prompt_tokens=pl.lit(2))
    responses.drop("reward").write_parquet(tmp_path / "responses.parquet")
    unscored = pl.when(pl.col("reward").is_null()).then(pl.lit("over_long")).alias("reason")
    rewards = frame.with_columns(unscored, teacher=pl.lit("pool"), reward_model=pl.lit("rm"))
    rewards.drop("response").write_parquet(tmp_path / "rewards.parquet")
    return tmp_path


def select(folder, monkeypatch, how, seed=0):
    """Run both scripts; candidate, response and reward of each id."""
    names = {"teacher": how, "responses": folder / "responses.parquet", "rewards": folder / "rewards.parquet"}
    names |= {"output": folder / "chosen.parquet"}
    run(monkeypatch, select_responses, names | {"select": how, "seed": seed})
    run(
        monkeypatch,
        select_rewards,
        names | {"responses": folder / "chosen.parquet", "output": folder / "chosen_rewards.parquet"},
    )
    chosen = pl.read_parquet(folder / "chosen.parquet")
    rewards = pl.read_parquet(folder / "chosen_rewards.parquet")
    assert set(chosen["teacher"]) == set(rewards["teacher"]) == {how} and set(rewards["reward_model"]) == {"rm"}
    return chosen.join(rewards, on="id", maintain_order="left").select(
        "id", "candidate", "response", "reward", "reason", "reason_right"
    )


def run(monkeypatch, script, arguments):
    monkeypatch.setattr("sys.argv", ["x", *(str(x) for key, value in arguments.items() for x in (f"--{key}", value))])
    script.main()


def test_the_best_candidate_has_the_highest_reward_and_is_the_first_of_equal_ones(pool, monkeypatch):
    assert select(pool, monkeypatch, "best").rows() == [
        ("a", 1, "a1", 3.0, None, None),
        ("b", 1, "b1", 5.0, None, None),
        ("c", None, None, None, "no_usable_candidate", "no_usable_candidate"),
    ]


def test_the_worst_candidate_has_the_lowest_reward(pool, monkeypatch):
    assert select(pool, monkeypatch, "worst")["response"].to_list() == ["a2", "b1", None]


def test_a_random_selection_depends_on_its_seed_and_takes_every_usable_candidate_for_some_seed(pool, monkeypatch):
    seen = set()
    for seed in range(40):
        chosen = select(pool, monkeypatch, "random", seed)
        assert chosen["candidate"].to_list() == select(pool, monkeypatch, "random", seed)["candidate"].to_list()
        seen |= set(chosen["response"])
    assert seen == {"a0", "a1", "a2", "b1", "b2", "c2"}
    last = select(pool, monkeypatch, "random")
    assert last["reason_right"].to_list() == [
        None,
        None,
        "over_long",
    ]  # selected, but the reward model could not read it
