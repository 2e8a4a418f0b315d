"""A whole study of three data sets with different instructions, from their files to the data set and the page."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import yaml

from conftest import link_workflow, snakemake
from scripts.metrics.car import INSTRUCTIONS_DIFFER
from scripts.report import print_tables
from scripts.tables.files import read_csv

BETA, N = 0.5, 20
WORDS = ["rain", "wind", "sun", "snow", "fog", "hail", "ice", "heat"]
FILES = {
    # 30 rows, of which one repeats an instruction and one has no answer; the ids of two files are the same numbers
    "plain": [{"id": i, "q": f"Name {i % 29}.", "a": "" if i == 7 else f"It is {i}."} for i in range(30)],
    "chats": [
        {"talk": [{"role": "user", "content": f"And {i}?"}, {"role": "assistant", "content": f"{WORDS[i % 8]} again"}]}
        for i in range(12)
    ],
    "scored": [{"id": i, "q": f"Why {i}?", "a": f"Because of the {WORDS[i % 8]}.", "r": i / 10} for i in range(25)],
}
IMPORTS = {
    "plain": {"columns": {"id": "id", "instruction": "q", "response": "a"}},
    "chats": {"columns": {"messages": "talk"}},
    "scored": {"columns": {"id": "id", "instruction": "q", "response": "a"}, "rewards": {"judge": "r"}},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tiny, tiny_reward_model, tmp_path_factory):
    """The folder of a finished study with published scores, in which one pair was trained, and what was printed."""
    root = link_workflow(tmp_path_factory.mktemp("published"))
    shutil.copytree(tiny, root / "base")
    shutil.copytree(tiny_reward_model, root / "judge")
    for name, rows in FILES.items():
        (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (root / "scores.csv").write_text("b,t,wr\nbase,plain,40\nbase,chats,50\nbase,scored,45\n", encoding="utf-8")
    config = {
        "study": "published",
        "compare": "unpaired",
        "instructions": {"n": N},
        "teachers": {name: {"import": {"path": f"{name}.jsonl", **entry}} for name, entry in IMPORTS.items()},
        "bases": {"base": {"model": "./base", "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"judge": {"model": "./judge", "gpus": 0}},
        "car": {"reward_model": "judge", "transform": "sigmoid", "beta": BETA},
        "finetune": {"epochs": 1, "batch_size": 4, "micro_batch_size": 2, "max_length": 512},
        "benchmarks": {
            "bench": {
                "scores": {"path": "scores.csv", "columns": {"base": "b", "teacher": "t", "scores": {"wr": "wr"}}}
            }
        },
        "ap": ["bench.wr"],
    }
    (root / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    targets = ["all", "check", "results/published/checkpoints/base/chats/manifest.json"]
    done = snakemake("--cores", "2", "--configfile", "mine.yaml", "--", *targets, cwd=root)
    assert done.returncode == 0, done.stdout[-5000:]
    return root / "results/published", done.stdout


def usable_rows(results, name):
    return pl.read_parquet(results / f"metrics/base/{name}.parquet").filter(pl.col("reason").is_null())


def test_the_instructions_of_each_teacher_are_a_sample_of_its_own_rows(finished):
    results, printed = finished
    assert not (results / "instructions.parquet").exists()
    for name, n in {"plain": N, "chats": 12, "scored": N}.items():
        kept = pl.read_parquet(results / f"instructions/{name}.parquet")
        assert kept.height == n and kept["id"].n_unique() == n
        texts = {row["talk"][0]["content"] if "talk" in row else row["q"] for row in FILES[name]}
        assert set(kept["instruction"]) <= texts
        assert kept["id"].equals(pl.read_parquet(results / f"responses/{name}.parquet")["id"])
    aside = pl.read_parquet(results / "set_aside/instructions/plain.parquet")
    assert aside.select("row", "reason").rows() == [(30, "duplicate")]
    assert "12 of the first 12 rows have a text in instruction and response" in printed
    assert "29 of the first 30 rows have a text in instruction and response" in printed


def test_each_teacher_is_averaged_over_its_own_rows_with_independent_errors(finished):
    results, _ = finished
    ranked = {row["teacher"]: row for row in read_csv(results / "tables/teachers.csv").to_dicts()}
    stability = {row["teacher"]: row for row in read_csv(results / "tables/stability.csv").to_dicts()}
    rng = np.random.default_rng(0)
    for name in FILES:
        rows = usable_rows(results, name)
        r, loss = 1 / (1 + np.exp(-rows["reward:judge"].to_numpy())), rows["loss"].to_numpy()
        assert ranked[name]["n"] == rows.height
        assert ranked[name]["car"] == pytest.approx(r.mean() / (1 + BETA * loss.mean()))
        assert ranked[name]["diversity"] == pytest.approx(rows["deflated_bytes"].sum() / rows["n_bytes"].sum())
        drawn = rng.integers(rows.height, size=(4000, rows.height))
        spread = (r[drawn].mean(1) / (1 + BETA * loss[drawn].mean(1))).std()
        assert stability[name]["car_se"] == pytest.approx(spread * (1 + 1 / rows.height) ** 0.5, rel=0.1)
    (size,) = read_csv(results / "tables/sample_size.csv").to_dicts()
    assert size["n"] == min(row["n"] for row in ranked.values()) == 12
    assert usable_rows(results, "scored").select("id", "reward:judge").rows() == [
        (id_, int(id_) / 10) for id_ in usable_rows(results, "scored")["id"]
    ]


def test_the_pages_the_tables_the_card_and_the_conclusions_say_that_instructions_differ(finished, capsys, monkeypatch):
    results, _ = finished
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.count(INSTRUCTIONS_DIFFER) == 2  # of the conclusion, and of the ranking by CAR
    assert "at least 12 instructions for each teacher" in page and "each to its own instructions" in page
    assert "the instructions of plain" in page
    monkeypatch.setattr("sys.argv", ["print_tables", str(results / "tables")])
    print_tables.main()
    assert INSTRUCTIONS_DIFFER in " ".join(capsys.readouterr().out.split())
    ranked = read_csv(results / "tables/teachers.csv").sort("rank")
    card = (results / "datasets/base/README.md").read_text(encoding="utf-8")
    own = ", ".join(f"{name} {n}" for name, n in ranked.select("teacher", "n").iter_rows())
    assert f"Teachers compared, with the number of their own instructions: {own}. {INSTRUCTIONS_DIFFER}" in card
    (conclusion,) = read_csv(results / "tables/conclusions.csv")["conclusion"]
    numbers = f"Their numbers differ too, from 12 to {ranked['n'].max()}, and with them the training."
    assert f"{INSTRUCTIONS_DIFFER} {numbers}" in conclusion


def test_the_data_set_and_the_fine_tuning_have_the_rows_of_one_teacher(finished):
    results, _ = finished
    first = read_csv(results / "tables/teachers.csv").filter(rank=1)["teacher"].item()
    train = pl.read_parquet(results / "datasets/base/train.parquet")
    responses = pl.read_parquet(results / f"responses/{first}.parquet").filter(pl.col("reason").is_null())
    assert [row[0]["content"] for row in train["completion"]] == responses["response"].to_list()
    manifest = json.loads((results / "checkpoints/base/chats/manifest.json").read_text(encoding="utf-8"))
    assert manifest["n_examples"] == 12
