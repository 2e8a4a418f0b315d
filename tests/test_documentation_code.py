"""What the documentation says of the code: files that exist, a map of all of them, the modules with a VERSION."""

import re

import pytest

from conftest import ROOT
from scripts.jobs.code import declared
from test_documentation import TEXTS, spans

FILE = re.compile(r"(?:scripts|rules|tests|config|envs|profiles)/[\w./-]+[.](?:py|smk|md|yaml|jinja|csv)")
ELSEWHERE = {"config/judge_config.yaml"}  # in the repository of Arena-Hard


@pytest.mark.parametrize("page", TEXTS)
def test_every_file_that_a_page_names_exists(page):
    files = {span for span in spans(TEXTS[page]) if FILE.fullmatch(span)} - ELSEWHERE
    assert {name for name in files if not (ROOT / name).exists()} == set()


def test_the_map_names_every_file_of_the_code_once():
    """docs/code.md: a heading for each folder, with the rule file of a stage, and a row for each file."""
    named = []
    for heading, body in re.findall(r"^### (.*?)\n(.*?)(?=^#|\Z)", TEXTS["docs/code.md"], flags=re.M | re.S):
        folder, *rules = re.findall(r"`([^`]+)`", heading)
        rows = re.findall(r"^\| `([^`]+)` \|", body, flags=re.M)
        named += rules + [row if "/" in row else folder + row for row in rows]
    mapped = [str(path.relative_to(ROOT)) for name in named for path in sorted(ROOT.glob(name)) or [ROOT / name]]
    files = [path for folder in ("scripts", "rules") for path in (ROOT / folder).rglob("*.*")]
    assert set(mapped) == {str(path.relative_to(ROOT)) for path in files if path.parent.name != "__pycache__"}
    assert len(mapped) == len(set(mapped))


def test_the_page_on_reruns_names_every_module_with_a_version():
    modules = [f"scripts.{path.parent.name}.{path.stem}" for path in (ROOT / "scripts").glob("*/*.py")]
    versioned = {module for module in modules if declared(module, "VERSION", None) is not None}
    table = re.search(r"^\| results .*?\n\n", TEXTS["docs/reruns.md"], flags=re.M | re.S)[0]
    assert {name[:-3].replace("/", ".") for name in spans(table)} == versioned
