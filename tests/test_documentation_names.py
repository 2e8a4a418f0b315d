"""What the documentation names exists: linked files and headings, keys of the configuration, tables as printed."""

import re
import subprocess
import sys

import polars as pl
import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.configuration.protocols import PROTOCOLS
from scripts.metrics import definitions as metrics
from test_documentation import DOCUMENTS, FENCED, TEXTS, blocks, spans
from test_metrics import ROWS

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("config/*.md"), *ROOT.glob("docs/*.md")]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# words in code style that are no keys: targets, columns of tables, what a judge writes
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
    "knowledge",
    "mmlu",
    "mmlu:acc",
    "mt_bench",
    "rating",
    "gpt-4-1106-preview",
    "enable_thinking",
    "category",
    "math",
    "tau_loss",
    "tau_reward",
    "vllm.LLM",
    "spent_usd.txt",
}


def headings(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", text), flags=re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_has_a_target(page):
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target.read_text(encoding="utf-8")), link


def test_the_readme_is_short_and_links_every_page():
    assert len(TEXTS["README.md"].splitlines()) <= 150
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(TEXTS["README.md"])}
    assert {page.resolve() for page in [*DOCUMENTS, *PAGES]} - linked == {(ROOT / "README.md").resolve()}


def words_of_the_schema() -> set[str]:
    """Every key and every value that has a name, such as that of a protocol."""
    found = set()

    def search(node):
        if isinstance(node, dict):
            found.update(node.get("properties", {}) if isinstance(node.get("properties"), dict) else ())
            found.update(value for value in [*node.get("enum", []), node.get("const")] if isinstance(value, str))
            for inner in node.values():
                search(inner)
        elif isinstance(node, list):
            for inner in node:
                search(inner)

    schema = yaml.safe_load((ROOT / "config/schema.yaml").read_text(encoding="utf-8"))
    search(schema)
    return found | {
        score for name in PROTOCOLS.values() for score in (*name.scores, *name.length_controlled, *name.of_turns)
    }


def names_in(value) -> list[str]:
    """Keys and texts at any depth, parts of a dotted name apart."""
    if isinstance(value, dict):
        return [name for pair in value.items() for part in pair for name in names_in(part)]
    if isinstance(value, list):
        return [name for part in value for name in names_in(part)]
    text = value if isinstance(value, str) and "/" not in value else ""
    return [text] if text in OTHERS else [part for part in text.split(".") if part]


def unknown(span: str, known: set[str]) -> list[str]:
    """The names in a span of code that the schema does not have. A path, a command or an option has no such names."""
    if re.search(r"^-|<name>|^[^:]*[/ ]", span) or any(
        (ROOT / d / span).exists() for d in ("config", "config/templates")
    ):
        return []
    return [name for name in names_in(yaml.safe_load(span)) if name not in known | OTHERS]


def test_every_key_in_the_guide_to_the_configuration_is_in_the_schema():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    known = words_of_the_schema() | set(config["benchmarks"])
    named = spans(TEXTS["config/README.md"])
    assert len(named) > 100
    assert {span: unknown(span, known) for span in named if unknown(span, known)} == {}
    assert [unknown(span, known) for span in ("candidate: 5", "api.price", "car: {transform: sigmoids}")] == (
        [["candidate"], ["price"], ["sigmoids"]]
    )


def test_the_example_of_a_metric_can_be_added():
    ((_, text),) = blocks("python")
    ((name, metric),) = eval(f"{{{text}}}", vars(metrics)).items()
    assert name not in metrics.METRICS and metric.better in ("higher", "lower")
    assert pl.DataFrame(ROWS).select(metric.row).to_series().to_list() == ROWS["nll"].to_list()


def printed_block(page: str, start: str) -> str:
    """The block of printed output on a page that begins so."""
    (text,) = [text for name, text in blocks("text") if name == page and text.startswith(start)]
    return text


def test_the_readme_shows_a_part_of_the_tables_that_are_explained():
    shown = printed_block("README.md", "Teachers for alpha")
    assert printed_block("docs/outputs.md", "Teachers for alpha").startswith(shown)


@pytest.mark.study
def test_the_explained_tables_have_the_form_of_the_printed_ones(study):
    shown = printed_block("docs/outputs.md", "Teachers for alpha")
    command = [sys.executable, "-m", "scripts.report.print_tables", "results/miniature/tables"]
    printed = subprocess.run(command, cwd=study, capture_output=True, text=True, check=True).stdout
    for line in (
        r"^ rank .*$",
        r"^ metric .*$",
        r"^ reward_model .*$",
        r"^Teachers for .*$",
        r"^ (\w\S*) +-?\d\.\d.*$",
    ):
        found = [re.findall(line, text.replace(" \n", "\n"), flags=re.M) for text in (shown, printed)]
        assert [text.split() for text in found[0]] == [text.split() for text in found[1]] != []


def test_the_plan_on_the_page_is_the_printed_one(tmp_path):
    shown = printed_block("docs/running.md", "What is left")
    command = ["plan", "--cores", "1", "--configfile", "config/paper.yaml"]
    assert shown in snakemake(*command, cwd=link_workflow(tmp_path)).stdout
