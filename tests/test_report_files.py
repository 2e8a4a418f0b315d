"""The saved configuration, the report of changed tables, and Snakemake's own report."""

import polars as pl
import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.models.folder import sha256
from scripts.report import write_report
from scripts.report.present_tables import SOURCES, present_tables
from scripts.tables.files import read_csv
from scripts.tables.identity import sources_of

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def results(study):
    return study / "results/miniature"


def test_the_saved_configuration_repeats_the_study(study, results, tmp_path):
    saved = results / "config.yaml"
    assert "Nothing to be done" in snakemake("-n", "--cores", "2", "--configfile", str(saved), cwd=study).stdout
    assert yaml.safe_load(saved.read_text())["finetune"]["scheduler"] == "cosine"  # a default, not in the file
    assert saved.read_text().partition("study:")[2][:300] in (results / "report.html").read_text()


def test_every_table_names_the_tables_that_it_was_computed_from(results):
    paths = sorted((results / "tables").glob("*.csv"))
    named = {path.stem: [*sources_of(read_csv(path))] for path in paths if path.stem in SOURCES}
    assert named == SOURCES
    assert present_tables(paths)[1] is None


def test_the_same_tables_give_the_same_page(study, results):
    pages = []
    for _ in range(2):
        done = snakemake("results/miniature/report.html", "--cores", "2", "--force", cwd=study)
        assert done.returncode == 0, done.stdout
        pages.append(sha256(results / "report.html"))
    assert pages[0] == pages[1]


def page_of(results, folder, monkeypatch, **changes):
    """The page of the miniature's tables; `changes`: name of a table to a function that changes it."""
    tables = []
    for path in (results / "tables").glob("*.csv"):
        table = read_csv(path)
        tables.append(folder / path.name)
        changed = changes.get(path.stem, lambda same: same)(table)
        changed.drop("computed_from", strict=False).write_csv(tables[-1])  # as if all were of one ranking
    options = {"study": ["miniature"], "config": [results / "config.yaml"], "output": [folder / "report.html"]}
    options |= {"tables": tables, "metrics": [*(results / "metrics").glob("*/*.parquet")]}
    options |= {"instructions": [results / "instructions.parquet"], "spent": [folder / "none"]}
    options |= {"responses": [*(results / "responses").glob("*-*.parquet")], "timings": [results / "timings"]}
    options |= {"set-aside": [results / "set_aside/instructions.parquet"]}
    monkeypatch.setattr(
        "sys.argv", ["x", *(str(x) for name, values in options.items() for x in (f"--{name}", *values))]
    )
    write_report.main()
    return (folder / "report.html").read_text()


def test_a_metric_without_values_and_a_family_named_with_dollar_signs_give_a_page(results, tmp_path, monkeypatch):
    odd = {"ifd_self": pl.lit(None, pl.Float64), "family": pl.lit("$a_{$")}
    text = page_of(results, tmp_path, monkeypatch, teachers=lambda table: table.with_columns(**odd))
    assert "<h4>ppl_self</h4>" in text and "<h4>ifd_self</h4>" not in text


def test_only_a_pair_of_the_performance_table_can_lack_an_ap(results, tmp_path, monkeypatch):
    without_mixes = page_of(  # as with imported scores
        results, tmp_path, monkeypatch, performance=lambda t: t.filter(~pl.col("teacher").str.starts_with("mix"))
    )
    assert "Missing:" not in without_mixes
    lost = pl.when(base="beta", teacher="terse-small").then(None).otherwise("ap").alias("ap")
    text = page_of(results, tmp_path, monkeypatch, performance=lambda t: t.with_columns(lost))
    assert "<b>Missing:</b> terse-small has no AP for beta" in text and text.count("Missing:") == 1


def test_a_study_without_any_trained_pair_has_a_page(results, tmp_path, monkeypatch):
    none = dict.fromkeys(("correlations", "differences", "car", "size_steps"), lambda table: table.clear())
    gone = {"performance": lambda table: table.with_columns(ap=pl.lit(None, pl.Float64))}
    gone["conclusions"] = lambda table: table.with_columns(best=pl.lit(None, pl.String))
    text = page_of(results, tmp_path, monkeypatch, **none, **gone)
    assert "Highest CAR for alpha, " in text and 'href="#metrics"' not in text


def test_snakemakes_own_report_has_a_caption_for_every_table(study, tmp_path):
    done = snakemake("--report", str(tmp_path / "own.html"), cwd=study)
    assert done.returncode == 0, done.stdout
    text = (tmp_path / "own.html").read_text()
    for caption in (ROOT / "rules/captions").glob("*.rst"):
        if caption.stem not in ("ranking", "pilots"):  # pages that this study does not have
            assert caption.read_text().split(",")[0].split("'")[0].strip() in text, caption
