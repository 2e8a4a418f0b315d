"""The report in a real browser: its numbers are those of the tables, it loads and runs nothing, and it fits a phone."""

import subprocess
import sys

import polars as pl
import pytest

from browser import CHROMIUM, Browser
from conftest import snakemake

pytestmark = pytest.mark.study
HOSTILE = """<script>document.title='owned'</script><img src=x onerror="document.title='owned'">
</pre></details><h1 id=owned>{{ 7 * 7 }}</h1><a href="javascript:alert(1)">&lt;b&gt; "quoted' \u202e \x00"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def results(study):
    return study / "results/miniature"


@pytest.fixture(scope="module")
def page(browser, results):
    browser.open(results / "report.html")
    return browser


def csv(results, name):
    return pl.read_csv(results / f"tables/{name}.csv", infer_schema_length=None)


def test_the_page_loads_no_other_file_and_reports_no_error(page, results):
    requests = [request["request"]["url"] for request in page.events("Network.requestWillBeSent")]
    assert requests == [(results / "report.html").as_uri()]
    assert page.events("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    assert (results / "report.html").stat().st_size < 5e6


def test_the_numbers_of_teachers_and_correlations_equal_those_of_the_csv(page, results):
    cells = """[...document.querySelectorAll('table.teachers')].map(table => [table.dataset.base,
        [...table.tBodies[0].rows].map(row => [row.cells[0].innerText,
            [...row.querySelectorAll('td[data-column]')].map(cell =>
                [cell.dataset.column, cell.querySelector('data')?.value, cell.innerText])])])"""
    performance = csv(results, "performance").select("base", "teacher", "ap")
    teachers = csv(results, "teachers").join(performance, on=["base", "teacher"], how="left")
    rows = {(row["base"], row["teacher"]): row for row in teachers.to_dicts()}
    shown = page.evaluate(cells)
    assert sum(len(table) for _, table in shown) == teachers.height
    for base, table in shown:
        for teacher, values in table:
            assert {column for column, *_ in values} >= {"car", "reward:right-answer", "loss", "ap"}
            for column, exact, rounded in values:
                assert float(exact) == rows[base, teacher][column]
                digits = len(rounded.partition(".")[2])
                assert float(rounded.replace("−", "-")) == round(rows[base, teacher][column], digits)
    cells = """[...document.querySelectorAll('table.correlations tbody tr')].map(row => [row.cells[0].innerText,
        [...row.querySelectorAll('td[data-base]')].map(cell =>
            [cell.dataset.base, [...cell.querySelectorAll('data')].map(number => Number(number.value))])])"""
    correlations = csv(results, "correlations")
    shown = {(base, metric): values for metric, row in page.evaluate(cells) for base, values in row}
    table = {(r["base"], r["metric"]): [r["rho"], r["low"], r["high"]] for r in correlations.to_dicts()}
    assert shown == {key: [value for value in values if value is not None] for key, values in table.items()}


def test_the_answer_comes_first_with_its_uncertainty(page, results):
    cards = page.evaluate("[...document.querySelectorAll('.card')].map(card => card.innerText)")
    performance = csv(results, "performance").join(csv(results, "teachers"), on=["base", "teacher"])
    for card, base in zip(cards, ("alpha", "beta"), strict=True):
        ranked = performance.filter((pl.col("base") == base) & pl.col("rank").is_not_null())
        best = ranked.sort("ap", descending=True)["teacher"][0]
        tied = csv(results, "conclusions").filter(base=base)["tied"].item()
        others = [name for name in (tied or "").split(", ") if name]
        names = " and ".join(others) if len(others) < 3 else f"{len(others)} others"
        headline = f"{best}, tied with {names}" if others else best
        assert card.startswith(f"Highest AP for {base}\n\n{headline}\n")
        assert csv(results, "sample_size").filter(base=base)["advice"].item() in card
        assert csv(results, "conclusions").filter(base=base)["conclusion"].item() in card
        assert "over 12 teachers" in card


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_the_screen_and_every_figure_has_a_description(browser, results, width, tmp_path):
    browser.open(results / "report.html", width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    figures = browser.evaluate("""[...document.querySelectorAll('figure')].map(figure => {
        const svg = figure.querySelector('svg'), box = svg.getBoundingClientRect();
        return [box.width, box.height, svg.getAttribute('aria-label'), figure.innerText.trim()]})""")
    assert len(figures) == 15
    assert all(200 < w <= 600 and h > 100 and label and text for w, h, label, text in figures)
    smallest = """Math.min(...[...document.querySelectorAll('figure svg text')].map(
        text => text.getBoundingClientRect().height))"""
    assert browser.evaluate(smallest) > 6
    browser.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 50_000


@pytest.mark.parametrize("dark", [False, True])
def test_the_contrast_of_text_is_high_enough(browser, results, dark):
    browser.open(results / "report.html", dark=dark)
    ratios = browser.evaluate("""(() => {
        const light = color => { const [r, g, b] = color.match(/[\\d.]+/g).map(v => v / 255).map(
            v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
        const ground = node => { const c = getComputedStyle(node).backgroundColor;
            return c === 'rgba(0, 0, 0, 0)' ? ground(node.parentElement) : c };
        return [...document.querySelectorAll('h1, p, td, th, a, pre, figcaption, small, summary, .first')].map(node => {
            const [a, b] = [getComputedStyle(node).color, ground(node)].map(light).sort((x, y) => y - x);
            return (a + .05) / (b + .05) }) })()""")
    assert len(ratios) > 100 and min(ratios) >= 4.5  # WCAG 2 AA


def test_the_keyboard_reaches_tables_that_scroll_and_sections_that_open(page):
    reached = page.evaluate("""[...document.querySelectorAll('.wide')].every(
        node => node.tabIndex === 0 && node.getAttribute('aria-label'))""")
    assert reached and page.evaluate("document.querySelectorAll('details > summary').length") >= 6
    assert page.evaluate("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))")


@pytest.fixture(scope="module")
def hostile(results, tmp_path_factory):
    """The report of responses and instructions that contain HTML and scripts."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "responses").mkdir()
    for path in (results / "responses").glob("*-*.parquet"):
        if path.stem.startswith("mix"):
            continue
        rows = pl.read_parquet(path).with_columns(response=pl.lit(HOSTILE + "x" * 2000))
        rows.write_parquet(folder / "responses" / path.name)
    instructions = pl.read_parquet(results / "instructions.parquet").with_columns(instruction=pl.lit(HOSTILE))
    instructions.write_parquet(folder / "instructions.parquet")
    options = {"study": ["miniature"], "config": [results / "config.yaml"], "output": [folder / "report.html"]}
    options |= {
        "tables": [*(results / "tables").glob("*.csv")],
        "metrics": [*(results / "metrics").glob("*/*.parquet")],
    }
    options |= {"instructions": [folder / "instructions.parquet"], "responses": [*(folder / "responses").iterdir()]}
    options |= {"set-aside": [results / "set_aside/instructions.parquet"], "spent": [folder / "none"]}
    options |= {"timings": [results / "timings"]}
    arguments = [str(x) for name, values in options.items() for x in (f"--{name}", *values)]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.report.write_report", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


def test_hostile_text_is_shown_and_not_executed(browser, hostile):
    browser.open(hostile)
    assert browser.evaluate("document.title") == "miniature: which teacher?"
    assert browser.evaluate("document.querySelectorAll('script, img, iframe, #owned, a[href^=javascript]').length") == 0
    assert [r["request"]["url"] for r in browser.events("Network.requestWillBeSent")] == [hostile.as_uri()]
    assert browser.events("Runtime.exceptionThrown", "Log.entryAdded") == []
    shown = browser.evaluate("document.querySelector('.answers pre').textContent")
    assert shown.startswith("<script>document.title='owned'</script>") and "{{ 7 * 7 }}" in shown
    assert shown.endswith(f"… ({len(HOSTILE) + 2000:,} characters)")


def test_a_ranking_has_its_own_page(browser, study, results, tmp_path):
    done = snakemake("results/miniature/ranking.html", "--cores", "2", cwd=study)
    assert done.returncode == 0, done.stdout
    browser.open(results / "ranking.html")
    cards = browser.evaluate("[...document.querySelectorAll('.card')].map(card => card.innerText)")
    first, settled = (csv(results, "sample_size")[name] for name in ("first", "settled"))
    for card, base, teacher, known in zip(cards, ("alpha", "beta"), first, settled, strict=True):
        verdict = "settled" if known else "not settled"
        assert card.startswith(f"Highest CAR for {base}, {verdict}\n\n{teacher}") and "A prediction" in card
    assert browser.evaluate("document.querySelectorAll('table.correlations').length") == 0
