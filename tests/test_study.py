"""The finished miniature study: no stage loses a row, and the tables follow from the raw outputs."""

import csv
import json
import math
import re
import statistics
import subprocess
import sys

import polars as pl
import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.models.folder import verify

pytestmark = pytest.mark.study

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
RESULTS = ROOT / "results/miniature"


def table(name):
    with open(RESULTS / f"tables/{name}.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def last_word(text):
    return (text or "").rstrip(". \n").replace("\n", " ").split(" ")[-1]


def read(pattern):
    paths = sorted(RESULTS.glob(pattern))
    assert paths, pattern
    return {path: pl.read_parquet(path) for path in paths}


def test_a_second_run_has_nothing_to_do(study):
    assert "Nothing to be done" in snakemake("--cores", "1", cwd=study).stdout


def test_every_stage_has_every_row_and_a_value_or_a_reason(study):
    ids = pl.read_parquet(RESULTS / "instructions.parquet")["id"].to_list()
    assert len(ids) == CONFIG["instructions"]["n"] == len(set(ids))
    held_out = pl.read_parquet(RESULTS / "prompts/held_out.parquet")["id"].to_list()
    assert not set(ids) & set(held_out)
    for pattern, value, expected in (
        ("responses/*", "response", ids),
        ("rewards/*/*", "reward", ids),
        ("likelihoods/*/*", "nll", ids),
        ("metrics/*/*", "loss", ids),
        ("baselines/*", "answer", held_out),
        ("answers/*/*/*", "answer", held_out),
        ("judgments/*/*/*", "preference", held_out),
    ):
        for path, frame in read(f"{pattern}.parquet").items():
            assert frame["id"].to_list() == expected, path
            assert frame.filter(pl.col(value).is_null() & pl.col("reason").is_null()).height == 0, path


def test_every_model_folder_is_complete(study):
    manifests = [*RESULTS.glob("checkpoints/*/*/manifest.json"), *(ROOT / "results/world").glob("*/manifest.json")]
    assert len(manifests) == 24 + 2 + 15  # pairs, mixes, models of the miniature
    for manifest in manifests:
        verify(manifest.parent)


def responses_with_rewards():
    """teacher, correct and reward of every response."""
    reference = pl.read_parquet(RESULTS / "instructions.parquet").select("id", "reference")
    frames = []
    for teacher in CONFIG["teachers"]:
        rewards = pl.read_parquet(RESULTS / f"rewards/right-answer/{teacher}.parquet").select("id", "reward")
        rows = pl.read_parquet(RESULTS / f"responses/{teacher}.parquet").join(rewards, on="id").join(reference, on="id")
        correct = [last_word(response) == answer for response, answer in rows.select("response", "reference").rows()]
        frames.append(rows.select("teacher", "reward", pl.Series("correct", correct)))
    return pl.concat(frames)


def test_the_teachers_differ_in_strength(study):
    share = dict(responses_with_rewards().group_by("teacher").agg(pl.col("correct").mean()).iter_rows())
    assert min(share.values()) < 0.4 and max(share.values()) > 0.6, share


def test_the_reward_model_prefers_correct_answers(study):
    rows = responses_with_rewards()
    assert rows.filter("correct")["reward"].mean() > rows.filter(~pl.col("correct"))["reward"].mean() + 0.3


def test_car_in_the_table_follows_from_the_stored_rewards_and_sums(study):
    beta = CONFIG["car"]["beta"]
    for row in table("teachers"):
        rewards = pl.read_parquet(RESULTS / f"rewards/right-answer/{row['teacher']}.parquet").to_dicts()
        sums = pl.read_parquet(RESULTS / f"likelihoods/{row['base']}/{row['teacher']}.parquet").to_dicts()
        used = [(r, s) for r, s in zip(rewards, sums, strict=True) if not (r["reason"] or s["reason"])]
        if len(used) != int(row["n"]):
            continue  # CAR is a mean over the rows that all teachers have
        reward = statistics.fmean(r["reward"] for r, _ in used)
        loss = statistics.fmean((s["nll"] + s["end_nll"]) / (s["n_tokens"] + s["end_n_tokens"]) for _, s in used)
        assert float(row["car"]) == pytest.approx(reward / (1 + beta * loss), rel=1e-9)
        assert float(row["loss"]) == pytest.approx(loss, rel=1e-9)


def test_win_rates_follow_from_the_answers(study):
    def correct(path):
        frame = pl.read_parquet(path).join(prompts, on="id", maintain_order="left")
        return [last_word(answer) == reference for answer, reference in frame.select("answer", "reference").rows()]

    prompts = pl.read_parquet(RESULTS / "prompts/held_out.parquet").select("id", "reference")
    baseline = correct(RESULTS / "baselines/held_out.parquet")
    ap = {(r["base"], r["teacher"]): float(r["ap"]) for r in table("performance")}
    assert len(ap) == 24 + 2
    for (base, teacher), value in ap.items():
        model = correct(RESULTS / f"answers/held_out/{base}/{teacher}.parquet")
        wins = statistics.fmean((1 + m - b) / 2 for m, b in zip(model, baseline, strict=True))
        score = json.loads((RESULTS / f"scores/held_out/{base}/{teacher}.json").read_text())
        assert value == pytest.approx(100 * wins) == pytest.approx(score["wr"]["value"])
        assert score["wr"]["ci"][0] <= value <= score["wr"]["ci"][1]


def test_the_correlation_of_car_follows_from_the_two_tables(study):
    def ranks(values):
        return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]

    teachers = {(r["base"], r["teacher"]): r for r in table("teachers")}
    ap = {(r["base"], r["teacher"]): float(r["ap"]) for r in table("performance")}
    rho = {(r["base"], r["metric"]): r["rho"] for r in table("correlations")}
    for base in CONFIG["bases"]:
        keys = [key for key in ap if key[0] == base and teachers[key]["rank"]]
        x, y = ranks([float(teachers[key]["car"]) for key in keys]), ranks([ap[key] for key in keys])
        assert float(rho[base, "car"]) == pytest.approx(statistics.correlation(x, y))
    mean = statistics.fmean(float(rho[base, "car"]) for base in CONFIG["bases"])
    assert float(rho["average", "car"]) == pytest.approx(mean)
    assert all(math.isfinite(float(value)) for value in rho.values() if value)


def test_the_demo_prints_a_ranking_per_base_the_correlations_and_the_file_names(study):
    command = [sys.executable, "-m", "scripts.report.print_tables", "results/miniature/tables"]
    printed = subprocess.run(command, cwd=study, capture_output=True, text=True).stdout
    for base in CONFIG["bases"]:
        ranked = [r["teacher"] for r in table("teachers") if r["base"] == base and r["rank"]]
        block = printed.split(f"Teachers for {base}, best by CAR first")[1].split("\n\n")[0]
        assert re.findall(r"\b(\w+-(?:small|early|middle|large))\b", block)[: len(ranked)] == ranked
    assert re.search(r"^ car( +-?\d\.\d{3}){3}", printed, flags=re.M)
    assert all(
        f"results/miniature/tables/{name}.csv" in printed for name in ("teachers", "performance", "correlations")
    )
    conclusions = [row["conclusion"] for row in table("conclusions")]
    assert len(conclusions) == len(CONFIG["bases"]) + 1 and all(
        sentence in " ".join(printed.split()) for sentence in conclusions
    )
