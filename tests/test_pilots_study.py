"""A study that only has pilots: two imported teachers, tiny models; what a size, a seed and a teacher add."""

import json
import re

import polars as pl
import pytest

from conftest import link_workflow, snakemake
from scripts.tables.files import read_csv

PILOTS = {"teachers": ["long", "short"], "sizes": [8, 16], "score": "quiz.accuracy", "target": 64}


def configuration(base, reward_model, pilots):
    teachers = {name: {"import": table(name)} for name in ("short", "long", "other")}
    source = {"path": "instructions.jsonl", "columns": {"instruction": "instruction", "reference": "short"}}
    quiz = {
        "prompts": source,
        "protocol": "exact",
        "answer_pattern": r"(\w)",
        "baseline_answers": table("short"),
    }
    return {
        "study": "tried",
        "instructions": source | {"n": 24},
        "teachers": teachers,
        "bases": {"b": {"model": str(base), "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"r": {"model": str(reward_model), "gpus": 0}},
        "car": {"reward_model": "r"},
        "finetune": {"batch_size": 4, "micro_batch_size": 4, "max_length": 64, "gradient_checkpointing": False},
        "benchmarks": {"quiz": quiz | {"sampling": {"max_new_tokens": 4}}},
        "ap": ["quiz.accuracy"],
        "pilots": pilots,
    }


def table(column):
    return {"path": "instructions.jsonl", "columns": {"instruction": "instruction", "response": column}}


def jobs(root, *more):
    """Each rule to the number of its jobs that a dry run would start; none if there is nothing to do."""
    done = snakemake("-n", "pilots", "--configfile", "mine.json", *more, cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    if "Nothing to be done" in done.stdout:
        return {}
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout.split("Job stats:")[1].split("\n\n")[0], flags=re.M))
    return {name: int(n) for name, n in counts.items() if name not in ("total", "pilots")}


@pytest.mark.slow
def test_a_study_of_pilots_and_what_a_size_a_seed_and_a_teacher_add(tiny, tiny_reward_model, tmp_path):
    root = link_workflow(tmp_path)
    rows = [
        {"instruction": f"Say {i}", "short": f"{i % 10}", "long": f"{i % 10} it is", "other": "x"} for i in range(24)
    ]
    (root / "instructions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def write(**changes):
        config = configuration(tiny, tiny_reward_model, PILOTS | changes)
        (root / "mine.json").write_text(json.dumps(config), encoding="utf-8")

    write()
    done = snakemake("pilots", "--cores", "2", "--configfile", "mine.json", cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    results = root / "results/tried"
    assert jobs(root) == {}
    for size in PILOTS["sizes"]:
        for teacher in PILOTS["teachers"]:
            manifests = [results / f"checkpoints/b/{teacher}@n{size}s{seed}/manifest.json" for seed in range(2)]
            facts = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
            assert {(fact["n_examples"], fact["steps"]) for fact in facts} == {(size, size // 2)}
            assert facts[0]["files"] != facts[1]["files"]  # another seed is another model
    first, second = (pl.read_parquet(results / f"pilots/instructions/{size}.parquet")["id"] for size in (8, 16))
    assert second[:8].equals(first)
    assert json.loads((results / "pilots/b/after_8.json").read_text(encoding="utf-8"))["running"] == ["long", "short"]
    pilots = read_csv(results / "tables/pilots.csv")
    assert pilots.filter(kind="measured").height == 4 and (results / "pilots.html").exists()
    scores = [results / f"scores/quiz/b/long@n8s{seed}.json" for seed in range(2)]
    values = [json.loads(path.read_text(encoding="utf-8"))["accuracy"]["value"] for path in scores]
    assert pilots.filter(teacher="long", n=8)["score"].item() == pytest.approx(sum(values) / 2)

    of_each = ["finetune_pilot", "answer_pilot", "judge_exact_of_pilot", "score_judgments_of_pilot"]
    tables = {"tabulate_pilots": 1, "write_pilots": 1}
    write(race=False)
    assert jobs(root) == {}  # nobody has left: the same pilots
    write(race=False, sizes=[8, 12, 16])
    assert jobs(root) == dict.fromkeys(of_each, 4) | tables | {"take_sample": 1}
    write(race=False, seeds=3)
    assert jobs(root) == dict.fromkeys(of_each, 4) | {**tables}
    write(race=False, teachers="all")
    assert jobs(root) == dict.fromkeys(of_each, 4) | tables | {"import_responses": 1}
    write(target=128)
    assert jobs(root)["race_pilots"] == 1 and "finetune_pilot" not in jobs(root)
    of_pilot = ["checkpoints/b/{}/manifest.json", "answers/quiz/b/{}.parquet", "judgments/quiz/b/{}.parquet"]
    lost = [name.format("long@n16s1") for name in (*of_pilot, "scores/quiz/b/{}.json")]
    for name in (*lost, "tables/pilots.csv", "pilots.html"):
        (results / name).unlink()  # as if the run had been killed before this pilot
    write()
    assert jobs(root) == dict.fromkeys(of_each, 1) | tables
