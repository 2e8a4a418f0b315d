"""What the documentation names is there: linked files and headings, keys of the configuration, tables as printed."""

import re
import subprocess
import sys

import polars as pl
import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.metrics import definitions as metrics
from test_documentation import DOCUMENTS, FENCED, blocks, spans
from test_metrics import ROWS

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("config/*.md"), *ROOT.glob("docs/*.md")]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# words in code style that are no keys: targets, columns of tables, what a judge says
OTHERS = {
    "all",
    "rank",
    "transfer",
    "m",
    "M",
    "gpu",
    "content",
    "turns",
    "length",
    "72B",
    "gemma-2-9b-it",
    "vllm.LLM",
    "spent_usd.txt",
}


def headings(path) -> set[str]:
    """The anchors that a hub of repositories makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", path.read_text()), flags=re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_the_readme_leads_to_every_page():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    assert {page.resolve() for page in [*DOCUMENTS, *PAGES]} - linked == {(ROOT / "README.md").resolve()}


def words_of_the_schema() -> set[str]:
    """Every key and every value that has a name, such as a protocol's."""
    found = set()

    def look(node):
        if isinstance(node, dict):
            found.update(node.get("properties", {}) if isinstance(node.get("properties"), dict) else ())
            found.update(value for value in [*node.get("enum", []), node.get("const")] if isinstance(value, str))
            for inner in node.values():
                look(inner)
        elif isinstance(node, list):
            for inner in node:
                look(inner)

    schema = yaml.safe_load((ROOT / "config/schema.yaml").read_text())
    look(schema)
    scores = re.search(r"\((.*)\)\$$", schema["$defs"]["score"]["pattern"])[1]
    return found | set(scores.split("|"))


def names_in(value) -> list[str]:
    """Keys and texts at any depth, parts of a dotted name apart."""
    if isinstance(value, dict):
        return [name for pair in value.items() for part in pair for name in names_in(part)]
    if isinstance(value, list):
        return [name for part in value for name in names_in(part)]
    text = value if isinstance(value, str) and "/" not in value else ""
    return [text] if text in OTHERS else [part for part in text.split(".") if part]


def unknown(span: str, known: set[str]) -> list[str]:
    """The names in a span of code that the schema does not have. A path, a command or an option holds none."""
    if re.search(r"^-|<name>|^[^:]*[/ ]", span) or any(
        (ROOT / d / span).exists() for d in ("config", "config/templates")
    ):
        return []
    return [name for name in names_in(yaml.safe_load(span)) if name not in known | OTHERS]


def test_every_key_of_the_guide_is_one_of_the_schema():
    known = words_of_the_schema() | set(yaml.safe_load((ROOT / "config/config.yaml").read_text())["benchmarks"])
    named = spans((ROOT / "config/README.md").read_text())
    assert len(named) > 100
    assert {span: unknown(span, known) for span in named if unknown(span, known)} == {}
    assert [unknown(span, known) for span in ("candidate: 5", "api.price", "car: {transform: sigmoids}")] == (
        [["candidate"], ["price"], ["sigmoids"]]
    )


def test_the_metric_to_add_is_one_that_can_be_added():
    ((_, text),) = blocks("python")
    ((name, metric),) = eval(f"{{{text}}}", vars(metrics)).items()
    assert name not in metrics.METRICS and metric.better in ("higher", "lower")
    assert pl.DataFrame(ROWS).select(metric.row).to_series().to_list() == ROWS["nll"].to_list()


@pytest.mark.study
def test_the_readmes_tables_have_the_form_of_those_that_are_printed(study):
    (shown,) = [text for _, text in blocks("text") if text.startswith("Teachers for")]
    command = [sys.executable, "-m", "scripts.report.print_tables", "results/miniature/tables"]
    printed = subprocess.run(command, cwd=study, capture_output=True, text=True, check=True).stdout
    for table in (
        r"^ rank .*$",
        r"^ metric .*$",
        r"^ reward_model .*$",
        r"^Teachers for .*$",
        r"^ (\w\S*) +-?\d\.\d.*$",
    ):
        named = [re.findall(table, text.replace(" \n", "\n"), flags=re.M) for text in (shown, printed)]
        assert [line.split() for line in named[0]] == [line.split() for line in named[1]] != []


def test_the_readmes_plan_is_the_one_that_is_printed(tmp_path):
    (shown,) = [text for _, text in blocks("text") if text.startswith("What is left")]
    command = ["plan", "--cores", "1", "--configfile", "config/paper.yaml"]
    assert shown in snakemake(*command, cwd=link_workflow(tmp_path)).stdout
