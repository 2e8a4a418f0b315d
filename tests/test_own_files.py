"""A user's own files: instructions, two teachers, a base and a reward model end in a ranking, as the README says."""

import csv
import re
import shutil

import pytest

from conftest import ROOT, snakemake

pytestmark = pytest.mark.study

MODELS = {"teacher-a": "terse-large", "teacher-b": "plain-small", "base": "alpha", "reward-model": "right-answer"}


def test_the_readme_leads_from_own_files_to_a_ranking(study, checkout):
    readme = (ROOT / "README.md").read_text()
    config = re.search(r"```yaml\n(study: mine\n.*?)```", readme, flags=re.S)[1]
    (checkout / "mine.yaml").write_text(config)
    (checkout / "questions.jsonl").write_text('{"prompt": "Reverse ban"}\n{"prompt": "Add 31 and 4"}\n{"prompt": ""}\n')
    for mine, theirs in MODELS.items():
        shutil.copytree(study / "results/world" / theirs, checkout / "models" / mine)
    command = re.search(r"^(snakemake rank .*mine\.yaml.*)$", readme, flags=re.M)[1].split()[1:]
    done = snakemake(*command, cwd=checkout)
    assert done.returncode == 0, done.stdout[-5000:]
    with open(checkout / "results/mine/tables/teachers.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2"] and {row["n"] for row in rows} == {"2"}
    assert not (checkout / "results/mine/checkpoints").exists()
