"""A file or model of the user counts by its content: dry runs on a study whose records Snakemake has made by itself."""

import json
import os
import re
import shutil

import pytest
import yaml

from conftest import link_workflow, make_parent, snakemake

YEAR = 365 * 86400
ROWS = [{"q": f"Say {i}", "a": f"This is {i}", "r": i, "d": 0.5} for i in range(4)]
TABLES = ["questions", "prompts", "imported", "baseline", "difficulty", "gamed"]
MODEL = {"gpus": 0, "chat_template": "config/templates/plain.jinja"}
TEACHER = {
    "import": {"path": "imported.jsonl", "columns": {"instruction": "q", "response": "a"}, "rewards": {"r": "r"}}
}
LENGTH_CONTROL = {
    "difficulty": {"path": "difficulty.jsonl", "columns": {"difficulty": "d"}},
    "gamed": {"path": "gamed.jsonl", "columns": {"y": "d", "std_delta_len": "d", "difficulty": "d"}},
}
CONFIG = {
    "study": "s",
    "instructions": {"path": "questions.jsonl", "columns": {"instruction": "q"}},
    "teachers": {"t": TEACHER, "u": MODEL | {"model": "./teacher", "sampling": {"max_new_tokens": 4}}},
    "bases": {"b": MODEL | {"model": "./base"}},
    "reward_models": {"r": MODEL | {"model": "./reward-model"}},
    "car": {"reward_model": "r"},
    "judges": {"j": {"engine": "openai", "model": "gpt-4-1106-preview"}},
    "benchmarks": {
        "quiz": {
            "prompts": {"path": "prompts.jsonl", "columns": {"instruction": "q"}},
            "sampling": {"max_new_tokens": 4},
            "protocol": "alpaca_eval",
            "judge": "j",
            "judge_template": "template.txt",
            "baseline_answers": {"path": "baseline.jsonl", "columns": {"instruction": "q", "response": "a"}},
            "length_control": LENGTH_CONTROL,
        }
    },
    "ap": ["quiz.lc"],
}
SCORES = {"path": "scores.csv", "columns": {"scores": {"lc": "lc"}}}
OF_MODELS = {"check_model", "check_models", "score_rewards", "score_likelihoods", "generate_responses", "finetune"}
OF_MODELS |= {"write_dataset"}


@pytest.fixture(scope="module")
def recorded(tiny, tiny_reward_model, tmp_path_factory):
    """A study in which every file that a rule makes exists, though empty, with Snakemake's records of its jobs."""
    root = link_workflow(tmp_path_factory.mktemp("recorded"))
    for name in TABLES:
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    shutil.copy(root / "config/judges/alpaca_eval.txt", root / "template.txt")
    for name, folder in {"base": tiny, "teacher": tiny, "reward-model": tiny_reward_model}.items():
        shutil.copytree(folder, root / name)
    (root / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    summary = study(root, "--summary").splitlines()
    for line in summary[summary.index(next(line for line in summary if line.startswith("output_file"))) + 1 :]:
        make_parent(root / line.split("\t")[0]).touch()
    study(root, "--touch", "--forceall")
    return root


@pytest.fixture
def copy(recorded, tmp_path):
    return shutil.copytree(recorded, tmp_path / "copy", symlinks=True)


def study(root, *arguments, targets=("all", "check")):
    done = snakemake("--cores", "1", "--configfile", "config.yaml", *arguments, "--", *targets, cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def jobs(root, *arguments) -> dict[str, str]:
    """The rules of a dry run to the reasons that it names for their jobs."""
    found = re.findall(
        r"^(?:local)?rule (\w+):\n(?: {4}.*\n)*? {4}reason: (.*)", study(root, "-n", *arguments), flags=re.M
    )
    reasons: dict[str, str] = {}
    for name, reason in found:
        reasons[name] = reasons.get(name, "") + reason
    return {name: text for name, text in reasons.items() if name not in ("all", "check")}


def replace(path, change):
    """Another file under the same name, a year older, as `mv`, `cp -a` or an unpacked archive leave it."""
    other = path.with_name("other")
    other.write_bytes(change(path.read_bytes()))
    old = path.stat().st_mtime - YEAR
    os.utime(other, (old, old))
    other.replace(path)


def test_touched_inputs_rerun_nothing_of_any_size(copy):
    os.utime(copy / "questions.jsonl")
    assert jobs(copy, "--max-checksum-file-size", "10") == {}  # as with a file of over 1 GB
    for path in [*copy.glob("*.*"), *copy.glob("*/*.*")]:
        if not path.is_symlink():
            os.utime(path)
    assert jobs(copy) == {}


def changed(root) -> set[str]:
    return {name for name, reason in jobs(root).items() if "Params have changed" in reason}


def test_a_table_or_template_replaced_by_an_older_one_reruns_exactly_what_reads_it(copy):
    for name in ("difficulty", "gamed"):
        replace(copy / f"{name}.jsonl", lambda text: text.replace(b"This", b"That"))
    replace(copy / "template.txt", lambda text: text + b"\n")
    readers = {"prepare_length_control", "check_sources", "check_endpoints"}
    assert changed(copy) == readers | {"judge_pairs"}
    replace(copy / "imported.jsonl", lambda text: text.replace(b"This", b"That"))
    assert changed(copy) == readers | {"import_responses"}  # the judge now waits for other answers


def test_a_switched_link_is_noticed(copy):
    old, new = copy / "old.jsonl", copy / "new.jsonl"
    (copy / "questions.jsonl").rename(old)
    shutil.copy2(old, new)
    replace(new, lambda text: text.replace(b"Say", b"Tell"))
    (copy / "questions.jsonl").symlink_to(new)
    os.utime(copy / "questions.jsonl", (0, 0), follow_symlinks=False)
    replace(copy / "baseline.jsonl", lambda text: text.replace(b"This", b"That"))
    assert changed(copy) == {"prepare_instructions", "import_baseline", "check_sources"}


def test_models_replaced_by_older_ones_are_noticed(copy):
    for name in ("base", "teacher", "reward-model"):
        replace(copy / name / "model.safetensors", lambda weights: weights[:-1] + bytes([weights[-1] ^ 1]))
    replace(copy / "prompts.jsonl", lambda text: text.replace(b"Say", b"Tell"))
    found = jobs(copy)
    assert set(found) >= OF_MODELS
    assert all("Params have changed" in found[name] for name in ("check_model", "check_models", "prepare_prompts"))


def test_a_table_of_scores_replaced_by_an_older_one_is_noticed(copy):
    changes = {"benchmarks": {"paper": {"scores": SCORES}}, "judges": {}, "ap": ["paper.lc"]}
    (copy / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes), encoding="utf-8")
    (copy / "scores.csv").write_text("base,teacher,lc\nb,t,20\nb,u,30\n", encoding="utf-8")
    target = ["results/s/tables/performance.csv"]
    study(copy, "--forcerun", "import_scores", targets=target)
    replace(copy / "scores.csv", lambda text: text.replace(b"20", b"25"))
    assert "Params have changed" in study(copy, "-n", targets=target)
