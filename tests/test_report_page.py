"""The report of a made-up study: the page is valid HTML, has every number of the tables and escapes every text."""

import html
import re
from html.parser import HTMLParser

import polars as pl
import pytest
import yaml

from conftest import ROOT
from scripts.report import print_tables, report_provenance, write_report
from scripts.report.draw_figures import dots_of_bases, lines, styles
from scripts.report.present_tables import SOURCES
from scripts.report.report_figures import figures_of_base
from scripts.report.report_sections import differences_of_car, variants_of
from scripts.tables.files import write_table
from scripts.tables.identity import digest_of, with_sources

BASES, TEACHERS = ["a", "b"], ["one", "two", "mix"]
PAIR = {"base": ["a"] * 3 + ["b"] * 3, "teacher": TEACHERS * 2}
CAR = [0.51234, 0.4, None, 0.5, -0.25, None]
CONFIG = {
    "compare": "paired",
    "car": {"reward_model": "rm", "beta": 1.0, "transform": "none"},
    "teachers": {"one": {"model": "org/one", "revision": "f00", "sampling": {"temperature": 0, "top_p": 1}}, "mix": {}},
    "bases": {name: {"model": f"org/{name}"} for name in BASES},
    "reward_models": {"rm": {"model": "org/rm"}},
    "reference_models": {},
    "judges": {"j": {"reward": {"model": "org/judge"}}},
}


def tables() -> dict[str, pl.DataFrame]:
    metrics = {
        "loss": 1.25,
        "ppl_self": 3.5,
        "ppl_self_trimmed": 3.25,
        "ifd_self": None,
        "response_length": 20.0,
        "cut": 0.125,
        "thinking_tokens": 321.0,
        "cut_in_thinking": 0.25,
        "reward:rm": 0.7,
    }
    rank = [1, 2, None, 1, 2, None]
    names = {"rank": rank, "family": ["f", "f", None] * 2, "n": 9, "car": CAR, "note": [None, "<i>note</i>", None] * 2}
    first = {"base": BASES, "first": "one"}
    rho = {"rho": [0.5, None, 0.25] * 2, "low": [0.1, None, -0.1] * 2, "high": [0.9, None, 0.4] * 2}
    correlations = {"base": [*BASES, "average"] * 2, "metric": ["car"] * 3 + ["loss"] * 3, "better": "higher", **rho}
    beta = {"beta": [0.0, 1.0, 0.0, 1.0], "origin": 0.0, "beta_chosen_on": pl.Series([None] * 4, dtype=pl.String)}
    values = {
        "teachers": PAIR | names | metrics,
        "stability": PAIR | {"car": CAR, "car_se": [0.01, 0.02, None] * 2, "p_highest": [0.9, 0.1, None] * 2},
        "sample_size": first
        | {"n": 9, "advice": "one is first by CAR: settled.", "tied": ["", "two"], "settled": [True, False]}
        | {"tau_reward": 0.5, "tau_loss": -0.25, "spread_reward": [0.5, None], "spread_loss": 0.125},
        "seams": PAIR | {"n": 9, "n_white_space": 2, "n_differ": [0, 2, 0, 0, 0, 0]},
        "response_costs": {"teacher": TEACHERS, "responses": [9, 18, 27], "tokens_read": [400, 80, 480]}
        | {"tokens_written": [600, 90, 690], "estimated": [0.25, 0.0, None], "usd": [1.25, None, None]}
        | {"gpu_hours": None, "all_instructions": 2000, "all_usd": [277.5, None, None], "all_gpu_hours": None},
        "scores": {"base": ["a"] * 3 + ["b"] * 3, "score": ["car", "reward:rm", "loss"] * 2, "better": "higher"}
        | {"first": ["one", "one", "two", "one", "one", None], "note": [None] * 5 + ["n/a: loss is missing"]}
        | {"tau:car": [1.0, 1.0, -1.0, 1.0, 1.0, None], "tau:reward:rm": [1.0, 1.0, -1.0, 1.0, 1.0, None]}
        | {"tau:loss": [-1.0, -1.0, 1.0, None, None, None]},
        "sensitivity": first | {"reward_model": "rm", "transform": "none", "beta_from": 0.0, "beta_to": float("inf")},
        "performance": PAIR | {"ap": [50.125, 60.5, 70.0, 40.0, None, 70.0], "ap_margin": 1.96, "bench.wr": 50.0},
        "conclusions": {"base": [*BASES, "average"], "best": ["two", "one", None], "tied": ["one", "x, y, z", None]}
        | {"conclusion": "6 teachers are too few."},
        "correlations": correlations
        | {"top1_regret": 2.0, "ceiling": [0.875, None, 0.75] * 2, "note": [None, "constant", None] * 2},
        "differences": {"base": "average", "metric_a": "car", "metric_b": ["loss"], "difference": 0.5, "low": None}
        | {"high": None, "p": 0.03, "note": None},
        "car": {"base": ["a", "a", "b", "b"], "reward_model": "rm", "transform": "none", **beta}
        | {"rho": [0.1, 0.2, 0.3, 0.4], "low": -0.5, "high": 0.9},
        "size_steps": {"base": BASES, "inverted": [True, False]},
    }
    return {name: pl.DataFrame(columns) for name, columns in values.items()}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Writes the page of some of the tables."""

    def write(names, **changed):
        ids, texts = {"id": ["x", "y"]}, {"instruction": ["What is <b>1</b>?", "y" * 2000]}
        write_table(pl.DataFrame(ids | texts), tmp_path / "instructions.parquet")
        write_table(pl.DataFrame({"reason": ["empty"]}), tmp_path / "set_aside.parquet")
        unused = pl.DataFrame({"base": "a", "teacher": "one", "reason": ["over_long", None]})
        write_table(unused, tmp_path / "metrics.parquet")
        for name in TEACHERS:
            answers = {"response": ["</pre><script>1</script>", None], "finish_reason": "length"}
            write_table(pl.DataFrame(ids | answers | {"reason": [None, "refused"]}), tmp_path / f"{name}.parquet")
        for name in names:
            write_table((tables() | changed)[name], tmp_path / f"{name}.csv")
        (tmp_path / "timings").mkdir()
        (tmp_path / "timings/finetune.tsv").write_text("s\tmax_rss\n3600\t-\n")
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        (tmp_path / "spent.txt").write_text("1.50\n")
        options = {"study": ["s"], "config": ["config.yaml"], "tables": [f"{name}.csv" for name in names]}
        options |= {"metrics": ["metrics.parquet"], "responses": [f"{name}.parquet" for name in TEACHERS]}
        options |= {"instructions": ["instructions.parquet"], "set-aside": ["set_aside.parquet"]}
        options |= {"spent": ["spent.txt"], "timings": ["timings"], "output": ["page.html"]}
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["x", *(w for key, words in options.items() for w in (f"--{key}", *words))])
        write_report.main()
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write


class Balance(HTMLParser):
    """Asserts that tags are closed in the reverse order of opening."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()


def words(text):
    """The text of a page without figures and markup."""
    text = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


RANKING = ["teachers", "stability", "sample_size", "sensitivity", "scores", "seams", "response_costs"]


@pytest.mark.parametrize("names", [RANKING, sorted(tables())])
def test_tags_are_balanced_and_texts_are_escaped(page, names):
    text = page(names)
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    assert "<script" not in text and "<i>note" not in text and "&lt;script&gt;1&lt;/script&gt;" in text
    assert "Teachers marked '–' are shown for reference and not ranked." in words(text)


def test_the_page_of_judged_pairs_has_their_numbers_and_sentences(page):
    text = page(sorted(tables()))
    shown = words(text)
    assert "Highest AP for a two, tied with one 6 teachers are too few." in shown
    assert "Highest AP for b one, tied with 3 others 6 teachers" in shown
    assert 'data-column="car"><data value="0.51234">0.512</data>' in text
    assert "P(highest) Dollars Dollars for all AP Reward (rm) Loss" in shown
    assert "Time of all jobs: 1.00 hours (1 job, by stage ). Endpoints cost 1.50 dollars." in shown
    assert "the larger teacher is the worse one: 1 of 2." in shown
    assert "a perfect metric is expected to reach only about this rho: a 0.88, average 0.75." in shown
    assert "Missing: two has no AP for b" in shown
    assert "because they begin with white space that the tokenizer joins with the prompt: two 2 of 9." in shown
    assert "org/judge" in shown and "no answer: refused" in shown and "over_long" in shown


def test_dollars_stand_beside_car_and_estimates_are_marked(page):
    text = page(RANKING)
    shown = words(text)
    assert "one 1 0.512 0.010 90.0 % ≈ 1.25 ≈ 277.50 0.700" in shown and "two 2 0.400 0.020 10.0 % – – 0.700" in shown
    assert "Teacher Responses Tokens read Tokens written Dollars Dollars for all one 9 400 600 1.25 277.50" in shown
    assert 'data-column="usd"><data value="1.25">' in text and "GPU-hours" not in shown
    assert "Columns with all: for all 2,000 instructions at the same mean tokens." in shown
    assert "did not report are estimated from the length of texts: one (25%)." in shown


def test_without_a_price_there_are_tokens_and_no_dollars(page):
    free = {"usd": None, "all_usd": None, "gpu_hours": 0.5, "all_gpu_hours": 60.0}
    shown = words(
        page(
            RANKING,
            response_costs=tables()["response_costs"].with_columns(
                **{k: pl.lit(v, pl.Float64) for k, v in free.items()}
            ),
        )
    )
    assert "Dollars" not in shown and "GPU-hours GPU-hours for all one 9 400 600 0.50 60.00" in shown


def test_the_page_of_a_ranking_says_that_it_is_a_prediction(page):
    shown = words(page(RANKING))
    assert "Highest CAR for a, settled one one is first by CAR" in shown
    assert "Highest CAR for b, not settled one, tied with two one is first by CAR" in shown
    assert (
        "Kendall's tau of CAR is 0.50 with r and -0.25 with minus the loss. Over the teachers log r varies by" in shown
    )
    assert "by 0.50, log(1 + beta L) by 0.12: the reward weighs more." in shown
    assert "A prediction: no model has been fine-tuned yet." in shown and "AP lost" not in shown


def test_the_page_says_who_is_first_by_each_score_and_which_scores_contradict_each_other(page):
    shown = words(page(RANKING))
    assert "2 of 3 scores have the same first teacher. First is one by car, reward:rm; two by loss." in shown
    assert "Kendall's tau of two scores is below 0 for 2 of 3 pairs; the lowest is -1.00, of car and loss." in shown
    assert "All 2 scores have the same first teacher. First is one by car, reward:rm. Kendall's tau" in shown
    assert "loss higher two −1.00 −1.00 1.00" in shown and "loss higher n/a: loss is missing – – –" in shown


def test_the_printed_tables_mark_teachers_without_a_rank(tmp_path, monkeypatch, capsys):
    for name, table in tables().items():
        write_table(table, tmp_path / f"{name}.csv")
    monkeypatch.setattr("sys.argv", ["print_tables", str(tmp_path)])
    print_tables.main()
    printed = capsys.readouterr().out
    assert "Teachers for a, best by CAR first" in printed and re.search(r"^ - +mix +9", printed, flags=re.M)
    assert printed.count("  Teachers marked '-' are shown for reference and not ranked.") == 2
    assert re.search(r"^ rank +teacher +n +car +car_se +usd +all_usd +reward:rm", printed, flags=re.M)
    assert re.search(
        r"^ teacher +responses +tokens_read +tokens_written +usd +all_usd$", printed.replace(" \n", "\n"), flags=re.M
    )
    assert "the larger teacher is the worse one: 1 of 2." in " ".join(printed.split())


def written_in_order(folder, frames):
    """Writes tables as their scripts do, each after those that it is computed from."""
    for name in ("teachers", "sensitivity", "stability", "sample_size", "performance", *SOURCES):
        if name in frames:
            sources = [folder / f"{source}.csv" for source in SOURCES.get(name, []) if source in frames]
            write_table(with_sources(frames[name], *sources) if sources else frames[name], folder / f"{name}.csv")


def without_a_teacher() -> dict[str, pl.DataFrame]:
    """The tables of the ranking after `rank` with a teacher less."""
    frames = {name: frame for name, frame in tables().items() if name in RANKING}
    less = {name: frames[name].filter(pl.col("teacher") != "two") for name in ("teachers", "stability")}
    return frames | less


def test_only_tables_of_the_present_ranking_are_printed(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "tables"
    folder.mkdir()
    monkeypatch.setattr("sys.argv", ["print_tables", str(folder)])
    written_in_order(folder, tables())
    meta = f'<meta name="ranking" content="{digest_of(folder / "teachers.csv")}">'
    (tmp_path / "report.html").write_text(meta, encoding="utf-8")
    print_tables.main()
    printed = capsys.readouterr().out
    assert "6 teachers are too few" in printed and "Left out" not in printed
    assert str(tmp_path / "report.html") in printed.partition("Files:")[2]
    written_in_order(folder, without_a_teacher())
    print_tables.main()
    printed = " ".join(capsys.readouterr().out.split())
    assert "Teachers for a" in printed and "6 teachers are too few" not in printed and "Spearman" not in printed
    assert "performance.csv (it has other pairs than teachers.csv)" in printed
    assert (
        "conclusions.csv, correlations.csv, differences.csv" in printed and "(computed from another teachers" in printed
    )
    assert "`snakemake --cores 1 all` with the study's configuration remakes them" in printed
    assert "report.html shows another ranking; `snakemake --cores 1 all` writes it again" in printed
    files = printed.partition("Files:")[2]
    assert "teachers.csv" in files and "correlations.csv" not in files and "report.html" not in files


def test_the_page_shows_only_tables_of_its_ranking(page):
    shown = words(page(sorted(tables()), **without_a_teacher()))
    assert "performance.csv (it has other pairs than teachers.csv)" in shown and "Left out: " in shown
    assert "AP lost" not in shown and "6 teachers are too few" not in shown and "A prediction: no model" in shown


def test_a_ranking_whose_own_tables_do_not_belong_together_is_not_printed(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["print_tables", str(tmp_path)])
    written_in_order(tmp_path, tables())
    write_table(tables()["teachers"].with_columns(car=0.0), tmp_path / "teachers.csv")
    (tmp_path / "sample_size.csv").unlink()
    with pytest.raises(SystemExit, match=r"sensitivity.csv \(computed from another teachers.csv\).*cores 1 rank"):
        print_tables.main()


def test_twenty_families_look_different():
    looks = {(look["color"], look["marker"]) for look in styles([f"family {i}" for i in range(20)]).values()}
    assert len(looks) == 21


def test_samplings_of_one_model_become_a_heat_map():
    teachers = {
        f"t{t}-{p}": {"model": "m", "sampling": {"temperature": t, "top_p": p}} for t in (0.3, 0.7) for p in (0.8, 1.0)
    }
    other = {"model": "o", "sampling": {"temperature": 0, "top_p": 1}}
    unknown = {"model": "m", "engine": "openai", "sampling": {"temperature": None, "top_p": None}}
    variants = variants_of({**teachers, "other": other, "unknown": unknown})
    assert variants == {"m": {name: tuple(t["sampling"].values()) for name, t in teachers.items()}}
    names = list(teachers)
    base = {"base": "b", "teacher": names}
    ranked = pl.DataFrame({**base, "rank": [1, 2, 3, 4], "family": "f", "car": [0.4, 0.3, 0.2, 0.1]})
    tables = {"teachers": ranked, "stability": pl.DataFrame({**base, "car_se": 0.01})}
    tables["performance"] = pl.DataFrame({**base, "ap": [51.25, 52.5, 53.75, None], "ap_margin": 1.0})
    tables["scores"] = pl.DataFrame({"base": "b", "score": ["car"], "first": [names[0]]})
    found = figures_of_base(tables, "b", variants)
    assert [figure["title"] for figure in found][-1] == "Sampling of m"
    assert all(f">{number}<" in found[-1]["svg"] for number in ("51.2", "52.5", "53.8", "0.3", "0.7"))
    assert "no value" in found[1]["svg"]


def test_a_figure_shows_the_ap_of_each_scores_first_teacher():
    base = {"base": "b", "teacher": ["x", "y", "z"]}
    found = {"teachers": pl.DataFrame({**base, "rank": [1, 2, 3], "family": "f", "car": [0.4, 0.3, 0.2]})}
    found |= {"stability": pl.DataFrame({**base, "car_se": 0.01})}
    found["performance"] = pl.DataFrame({**base, "ap": [51.25, 60.5, 70.0], "ap_margin": 1.0})
    choices = {"score": ["car", "loss", "ifd_self", "rsr"], "first": ["x", "y, z", None, "z"]}
    found["scores"] = pl.DataFrame({"base": "b", **choices})
    drawn = figures_of_base(found, "b", {})[-1]
    assert drawn["title"] == "The choice of each score for b" and "AP of 4 scores" in drawn["svg"]
    texts = re.findall(r"<text[^>]*>(.*?)</text>", drawn["svg"], flags=re.S)
    assert [text for text in texts if text in choices["score"]] == ["loss", "rsr", "loss", "car"]  # the best AP first
    assert texts[-3:] == ["x", "y", "z"]


def test_car_is_compared_with_other_metrics_on_average_or_for_the_only_base():
    rows = {"metric_a": "car", "metric_b": ["loss", "rsr"], "difference": [0.1, 0.2]}
    table = pl.concat([pl.DataFrame({"base": base, **rows}) for base in ("b", "c", "average")])
    assert [row["base"] for row in differences_of_car(table)] == ["average", "average"]
    assert [row["metric_b"] for row in differences_of_car(table.filter(base="b"))] == ["loss", "rsr"]


def test_the_commit_of_the_workflow_is_named_if_it_is_in_a_repository(tmp_path):
    assert report_provenance.git_commit(tmp_path) == "unknown: the workflow is not in a git repository"
    assert len(report_provenance.git_commit(ROOT).split()[0]) == 40


def test_logarithmic_axes_have_plain_numbers():
    table = pl.DataFrame({"base": "b", "teacher": ["x", "y", "z"], "ppl_self": [2.0, 50.0, 5000.0]})
    drawn = dots_of_bases(table, "ppl_self", "perplexity")
    car = {"base": "b", "beta": [0.0, 0.1, 1.0, 100.0], "rho": 0.5, "low": 0.1, "high": 0.9}
    drawn += lines(pl.DataFrame(car), "beta", "base", "beta", 1.0)
    texts = re.findall(r"<text[^>]*>(.*?)</text>", drawn, flags=re.S)
    assert {"100", "1000"} <= set(texts) and not [text for text in texts if "$" in text or "\\" in text]
