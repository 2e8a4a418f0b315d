"""One study with every kind of teacher: models, an endpoint, a pool, selections from the pool, imported responses."""

import csv
import json

import polars as pl
import pytest
import yaml

from conftest import link_workflow, snakemake
from fault_server import FaultServer
from scripts.tables.files import read_csv

pytestmark = pytest.mark.study

N = 40
SAMPLED = {"max_new_tokens": 20, "temperature": 1.0}


def configuration(url: str) -> dict:
    world = "./results/world"
    model = {"model": f"{world}/plain-large", "gpus": 0}
    select = {"pool": "pool", "reward_model": "right-answer", "compare": True}
    table = {"path": "responses.jsonl", "columns": {"instruction": "instruction", "response": "answer"}}
    return {
        "study": "kinds",
        "instructions": {"path": "results/world/instructions.jsonl", "columns": {"instruction": "instruction"}, "n": N},
        "teachers": {
            "greedy": model | {"sampling": {"max_new_tokens": 20}},
            "pool": model | {"sampling": SAMPLED, "candidates": 4},
            "best": {"select": "best", **select},
            "worst": {"select": "worst", **select},
            "any": {"select": "random", "pool": "pool"},
            "endpoint": {"model": "m", "engine": "openai", "openai": {"base_url": url, "api_key_env": None}, "gpus": 0},
            "imported": {"import": table},
            "rewarded": {"import": table | {"rewards": {"right-answer": ["rewards", 0]}}},
        },
        "bases": {"alpha": {"model": f"{world}/alpha", "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"right-answer": {"model": f"{world}/right-answer", "gpus": 0}},
        "reference_models": {"reference": {"model": f"{world}/terse-small", "max_length": 64, "gpus": 0}},
        "benchmarks": {"quiz": {"scores": table_of({"wr": "a"})}, "exam": {"scores": table_of({"lc": "b"})}},
        "ap": ["quiz.wr", "exam.lc"],
        "car": {"reward_model": "right-answer"},
        "api": {"prices": {"m": {"input": 2, "output": 10}}},
    }


def table_of(scores: dict[str, str]) -> dict:
    return {"path": "scores.csv", "columns": {"base": "student", "teacher": "from", "scores": scores}}


@pytest.fixture(scope="module")
def results(study, tmp_path_factory):
    """The folder of the finished study."""
    root, server = tmp_path_factory.mktemp("kinds"), FaultServer()
    link_workflow(root)
    (root / "results").mkdir()
    (root / "results/world").symlink_to(study / "results/world")
    with (
        open(study / "results/world/instructions.jsonl", encoding="utf-8") as lines,
        open(root / "responses.jsonl", "w", encoding="utf-8") as out,
    ):
        for line in lines:  # the right answers, with a reward that no reward model gives
            row = json.loads(line)
            print(json.dumps({"instruction": row["instruction"], "answer": row["answer"], "rewards": [7.5]}), file=out)
    with open(root / "scores.csv", "w", encoding="utf-8") as out:
        print("student,from,a,b", file=out)
        for j, teacher in enumerate(("greedy", "best", "worst", "imported", "rewarded", "endpoint", "nobody")):
            print(f"alpha,{teacher},{j},{50 + j * j}", file=out)
    (root / "kinds.yaml").write_text(yaml.safe_dump(configuration(server.url)))
    done = snakemake("--cores", "2", "--configfile", "kinds.yaml", cwd=root)
    server.server_close()
    assert done.returncode == 0, done.stdout[-5000:]
    return root / "results/kinds"


def test_the_costs_are_those_of_the_stored_answers_and_of_whole_pools(results):
    costs = {row["teacher"]: row for row in read_csv(results / "tables/response_costs.csv").to_dicts()}
    rows = [pl.read_parquet(path) for path in (results / "rows/responses/endpoint").rglob("*.parquet")]
    usd = pl.concat(rows)["usd"].sum()
    assert usd > 0 and costs["endpoint"]["usd"] == pytest.approx(usd)
    pool = read(results / "responses/pool.parquet", "n_tokens", "n_prompt_tokens")
    for name in ("best", "worst"):
        assert costs[name]["responses"] == 4 * N and costs[name]["tokens_written"] == pool["n_tokens"].sum()
        assert costs[name]["tokens_read"] == pool["n_prompt_tokens"].sum()
    assert costs["imported"]["tokens_written"] is costs["greedy"]["usd"] is None


def read(path, *columns):
    return pl.read_parquet(path).select(*columns)


def test_a_selection_has_one_candidate_of_the_pool_with_its_reward(results):
    pool = read(results / "responses/pool.parquet", "id", "candidate", "response").join(
        read(results / "rewards/right-answer/pool.parquet", "id", "candidate", "reward"), on=["id", "candidate"]
    )
    assert pool.height == 4 * N
    extremes = pool.group_by("id").agg(best=pl.col("reward").max(), worst=pl.col("reward").min())
    for name in ("best", "worst"):
        chosen = read(results / f"responses/{name}.parquet", "id", "candidate", "response")
        rewards = read(results / f"rewards/right-answer/{name}.parquet", "id", "reward")
        joined = chosen.join(rewards, on="id").join(extremes, on="id")
        assert joined.height == N and (joined["reward"] == joined[name]).all()
        assert (
            chosen.join(pool, on=["id", "candidate"])
            .select(pl.col("response") == pl.col("response_right"))
            .to_series()
            .all()
        )


def test_an_endpoint_answers_every_instruction(results):
    asked = read(results / "instructions.parquet", "id", "instruction")
    answered = read(results / "responses/endpoint.parquet", "id", "response")
    assert answered["response"].to_list() == [text[::-1] for text in asked["instruction"]]


def test_imported_rewards_are_used_and_missing_rewards_are_computed(results):
    taken, scored = (
        read(results / f"rewards/right-answer/{name}.parquet", "reward")["reward"] for name in ("rewarded", "imported")
    )
    assert set(taken) == {7.5} and len(set(scored)) > 1
    responses = [read(results / f"responses/{name}.parquet", "id", "response") for name in ("rewarded", "imported")]
    assert responses[0].equals(responses[1])
    log = (results / "logs/score_rewards/right-answer.log").read_text(encoding="utf-8")
    assert "imported: mean reward" in log and "rewarded: mean reward" not in log


def test_pools_are_not_ranked_and_selections_only_if_the_config_says_so(results):
    with open(results / "tables/teachers.csv", encoding="utf-8") as file:
        ranked = {row["teacher"]: row["rank"] for row in csv.DictReader(file) if row["base"] == "alpha"}
    assert set(ranked) == {"greedy", "best", "worst", "any", "imported", "rewarded", "endpoint"}
    assert ranked.pop("any") == "" and all(ranked.values())
    assert not (results / "likelihoods/alpha/pool.parquet").exists()
    assert not (results / "checkpoints").exists()


def test_average_performance_is_the_mean_of_the_imported_scores(results):
    with open(results / "tables/performance.csv", encoding="utf-8") as file:
        rows = {row["teacher"]: row for row in csv.DictReader(file)}
    ap = {teacher: float(row["ap"]) for teacher, row in rows.items() if row["ap"]}
    assert len(ap) == 6 and ap["rewarded"] == (4 + 50 + 16) / 2 and ap["best"] == (1 + 51) / 2
    assert rows["any"]["note"] == "scores.csv lacks a score of this pair"  # it is not compared


def test_the_perplexity_of_the_reference_model_is_a_further_metric(results):
    sums = pl.read_parquet(results / "likelihoods/reference/greedy.parquet")
    expected = (sums["nll"] / sums["n_tokens"]).exp().to_list()
    metrics = pl.read_parquet(results / "metrics/alpha/greedy.parquet")
    assert metrics["ppl:reference"].to_list() == pytest.approx(expected, nan_ok=True)
    with open(results / "tables/correlations.csv", encoding="utf-8") as file:
        better = {row["metric"]: row["better"] for row in csv.DictReader(file)}
    assert (better["ppl:reference"], better["ifd:reference"], better["reward:right-answer"]) == (
        "lower",
        "higher",
        "higher",
    )
