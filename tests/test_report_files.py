"""What stands around the report: the saved configuration, Snakemake's own report, the same bytes, the end of a log."""

import polars as pl
import pytest
import yaml

import report_provenance
from conftest import ROOT, link_workflow, snakemake
from model_folder import sha256
from report_figures import figures_of_base
from write_report import differences_of_car, variants_of

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def results(study):
    return study / "results/miniature"


def test_the_saved_configuration_repeats_the_study(study, results, tmp_path):
    saved = results / "config.yaml"
    assert "Nothing to be done" in snakemake("-n", "--cores", "2", "--configfile", str(saved), cwd=study).stdout
    assert yaml.safe_load(saved.read_text())["finetune"]["scheduler"] == "cosine"  # a default that the file leaves out
    assert saved.read_text().partition("study:")[2][:300] in (results / "report.html").read_text()


def test_the_same_tables_give_the_same_page(study, results):
    pages = []
    for _ in range(2):
        done = snakemake("results/miniature/report.html", "--cores", "2", "--force", cwd=study)
        assert done.returncode == 0, done.stdout
        pages.append(sha256(results / "report.html"))
    assert pages[0] == pages[1]


def test_snakemakes_own_report_has_a_caption_for_every_table(study, tmp_path):
    done = snakemake("--report", str(tmp_path / "own.html"), cwd=study)
    assert done.returncode == 0, done.stdout
    text = (tmp_path / "own.html").read_text()
    for caption in (ROOT / "rules/captions").glob("*.rst"):
        if caption.stem != "ranking":
            assert caption.read_text().split(",")[0].split("'")[0].strip() in text, caption


def test_samplings_of_one_model_become_a_map(results):
    teachers = {
        f"t{t}-{p}": {"model": "m", "sampling": {"temperature": t, "top_p": p}} for t in (0.3, 0.7) for p in (0.8, 1.0)
    }
    variants = variants_of({**teachers, "other": {"model": "o", "sampling": {"temperature": 0, "top_p": 1}}})
    assert variants == {"m": {name: tuple(t["sampling"].values()) for name, t in teachers.items()}}
    names = list(teachers)
    base = {"base": "b", "teacher": names}
    ranked = pl.DataFrame({**base, "rank": [1, 2, 3, 4], "family": "f", "car": [0.4, 0.3, 0.2, 0.1]})
    tables = {"teachers": ranked, "stability": pl.DataFrame({**base, "car_se": 0.01})}
    tables["performance"] = pl.DataFrame({**base, "ap": [51.25, 52.5, 53.75, None]})
    found = figures_of_base(tables, "b", variants)
    assert [figure["title"] for figure in found][-1] == "Sampling of m"
    assert all(f">{number}<" in found[-1]["svg"] for number in ("51.2", "52.5", "53.8", "0.3", "0.7"))
    assert "no value" in found[1]["svg"]


def test_car_is_held_against_the_others_on_average_or_for_the_only_base():
    rows = {"metric_a": "car", "metric_b": ["loss", "rsr"], "difference": [0.1, 0.2]}
    table = pl.concat([pl.DataFrame({"base": base, **rows}) for base in ("b", "c", "average")])
    assert [row["base"] for row in differences_of_car(table)] == ["average", "average"]
    assert [row["metric_b"] for row in differences_of_car(table.filter(base="b"))] == ["loss", "rsr"]


def test_the_commit_is_told_or_that_there_is_none(tmp_path):
    assert report_provenance.git_commit(tmp_path) == "unknown: the workflow is no git repository here"
    assert len(report_provenance.git_commit(ROOT).split()[0]) == 40


def test_a_failed_run_shows_the_end_of_each_failed_jobs_log_with_the_cause(tmp_path):
    link_workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["study"], config["instructions"] = (
        "broken",
        {"path": "questions.csv", "columns": {"instruction": "question"}},
    )
    (tmp_path / "questions.csv").write_text("prompt\nWhy?\n")
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(config))
    done = snakemake("results/broken/instructions.parquet", "--cores", "1", "--configfile", "broken.yaml", cwd=tmp_path)
    assert done.returncode == 1
    end = done.stdout.partition(
        "prepare_instructions failed. The end of results/broken/logs/prepare_instructions.log:"
    )[2]
    assert "no column question: the source has prompt" in end
