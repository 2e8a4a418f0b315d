"""A user's own files: from instructions, two teachers, a base and a reward model to a ranking, as in the README."""

import csv
import json
import re
import shutil

import pytest

from conftest import ROOT, link_workflow, snakemake

pytestmark = pytest.mark.study

MODELS = {"teacher-a": "terse-large", "teacher-b": "plain-small", "base": "alpha", "reward-model": "right-answer"}
QUESTIONS = [*(f"Reverse {word}" for word in ("ban", "tip", "lost")), *(f"Add {n} and 4" for n in (3, 17, 31)), ""]


@pytest.fixture(scope="module")
def ranked(study, tmp_path_factory):
    """A folder in which the README's config and command were run, first with n: 4, then unchanged."""
    root = tmp_path_factory.mktemp("mine")
    link_workflow(root)
    readme = (ROOT / "README.md").read_text()
    config = re.search(r"```yaml\n(study: mine\n.*?)```", readme, flags=re.S)[1]
    (root / "questions.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in QUESTIONS))
    for name, model in MODELS.items():
        shutil.copytree(study / "results/world" / model, root / "models" / name)
    command = re.search(r"^(snakemake rank .*mine\.yaml.*)$", readme, flags=re.M)[1].split()[1:]
    for sample in ("  n: 4\n", ""):
        (root / "mine.yaml").write_text(config.replace("instructions:\n", f"instructions:\n{sample}"))
        done = snakemake(*command, cwd=root)
        assert done.returncode == 0, done.stdout[-5000:]
    return root


def table(root, name):
    with open(root / f"results/mine/tables/{name}.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_commands_of_the_readme_rank_teachers_from_own_files(ranked):
    rows = table(ranked, "teachers")
    assert [row["rank"] for row in rows] == ["1", "2"] and {row["n"] for row in rows} == {"6"}
    assert not (ranked / "results/mine/checkpoints").exists()
    card = (ranked / "results/mine/datasets/base/README.md").read_text()
    assert f"Responses of **{rows[0]['teacher']}**" in card


def test_the_tables_report_how_stable_the_ranking_is_and_whether_more_instructions_are_needed(ranked):
    (size,) = table(ranked, "sample_size")
    stability = {row["teacher"]: row for row in table(ranked, "stability")}
    assert size["n"] == "6" and size["target"] == "0.95" and size["first"] == table(ranked, "teachers")[0]["teacher"]
    assert float(size["p_highest"]) == float(stability[size["first"]]["p_highest"])
    assert size["settled"] == "false" and size["advice"].startswith(size["first"])
    assert "but these are too few to settle anything: use at least 100" in size["advice"]  # six instructions
    assert {row["reward_model"] for row in table(ranked, "sensitivity")} == {"reward-model"}


@pytest.mark.parametrize(
    "stage", ["generate_responses/teacher-?", "score_rewards/reward-model", "score_likelihoods/base"]
)
def test_with_a_larger_sample_only_the_new_rows_are_computed(ranked, stage):
    log = "".join(path.read_text() for path in (ranked / "results/mine/logs").glob(f"{stage}.log"))
    assert log.count("4 of 6 rows found in") == 2, log
