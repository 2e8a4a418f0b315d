"""What stands around the report: the saved configuration, Snakemake's own report, the same bytes, the end of a log."""

import polars as pl
import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.models.folder import sha256
from scripts.report import report_provenance, write_report
from scripts.report.draw_figures import styles
from scripts.report.report_figures import figures_of_base
from scripts.report.write_report import differences_of_car, variants_of
from scripts.tables.files import read_csv

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


def page_of(results, folder, monkeypatch, **changes):
    """The page of the miniature's tables after a change of some of them, each a function of the table."""
    tables = []
    for path in (results / "tables").glob("*.csv"):
        table = read_csv(path)
        tables.append(folder / path.name)
        changes.get(path.stem, lambda same: same)(table).write_csv(tables[-1])
    told = {"study": ["miniature"], "config": [results / "config.yaml"], "output": [folder / "report.html"]}
    told |= {"tables": tables, "metrics": [*(results / "metrics").glob("*/*.parquet")]}
    told |= {"instructions": [results / "instructions.parquet"], "spent": [folder / "none"]}
    told |= {"responses": [*(results / "responses").glob("*-*.parquet")], "timings": [results / "timings"]}
    told |= {"set-aside": [results / "set_aside/instructions.parquet"]}
    monkeypatch.setattr("sys.argv", ["x", *(str(x) for name, all_ in told.items() for x in (f"--{name}", *all_))])
    write_report.main()
    return (folder / "report.html").read_text()


def test_a_metric_that_nobody_has_and_a_family_with_dollars_draw_a_page(results, tmp_path, monkeypatch):
    odd = {"ifd_self": pl.lit(None, pl.Float64), "family": pl.lit("$a_{$")}
    text = page_of(results, tmp_path, monkeypatch, teachers=lambda table: table.with_columns(**odd))
    assert "<h4>ppl_self</h4>" in text and "<h4>ifd_self</h4>" not in text


def test_only_an_ap_that_was_to_be_there_is_a_gap(results, tmp_path, monkeypatch):
    below = page_of(  # as imported scores are: without the mixes
        results, tmp_path, monkeypatch, performance=lambda t: t.filter(~pl.col("teacher").str.starts_with("mix"))
    )
    assert "A gap:" not in below
    lost = pl.when(base="beta", teacher="terse-small").then(None).otherwise("ap").alias("ap")
    text = page_of(results, tmp_path, monkeypatch, performance=lambda t: t.with_columns(lost))
    assert "<b>A gap:</b> terse-small has no AP for beta" in text and text.count("A gap:") == 1


def test_a_study_of_which_nothing_could_be_trained_has_its_page(results, tmp_path, monkeypatch):
    none = dict.fromkeys(("correlations", "differences", "car", "size_steps"), lambda table: table.clear())
    gone = {"performance": lambda table: table.with_columns(ap=pl.lit(None, pl.Float64))}
    text = page_of(results, tmp_path, monkeypatch, **none, **gone)
    assert "By CAR, alpha should learn from" in text and 'href="#metrics"' not in text


def test_nine_families_look_different():
    looks = {(look["color"], look["marker"]) for look in styles([f"family {i}" for i in range(20)]).values()}
    assert len(looks) == 21


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
