"""A study from answers to AP, with a judge on an endpoint that thinks first: protocols label and arena_hard_v2."""

import json
import re
import shutil

import polars as pl
import pytest
import yaml

from conftest import link_workflow, snakemake
from fault_server import FaultServer, Handler
from scripts.scores.style_control import style_of
from scripts.tables.files import read_csv

pytestmark = pytest.mark.slow

WORDS = ["rain", "wind", "sun", "snow", "fog", "hail", "ice", "heat"]
CATEGORIES = ["hard", "creative"]
N = 12  # prompts of each category
ANSWERS = re.compile(r"# Answer of assistant A\n\n(.*?)\n\n# Answer of assistant B\n\n(.*?)(?=\n\n# Your task|$)", re.S)


class ThinkingJudge(Handler):
    """It prefers the longer answer, after thinking of the other one; and once its thinking does not end."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = [message["content"] for message in body["messages"] if message["role"] == "user"]
        found = ANSWERS.search(asked[0])
        lengths = [len(answer.strip()) for answer in found.groups()]
        better, other = ("A", "B") if lengths[0] > lengths[1] else ("B", "A")
        with self.server.lock:
            self.server.bodies.append(body)
        if "Prompt 3 " in asked[0] and len(asked) == 1:
            return self.answer("", f"<think>{other} is short: [[{other}>>{better}]] or", "length")
        verdict = better if "one word" in asked[-1] else f"My verdict: [[{better}>{other}]]"
        return self.answer("", f"<think>Perhaps [[{other}>>{better}]]. {other}?</think>\n\n{verdict}")


def write_lines(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tiny, tiny_reward_model, tmp_path_factory):
    """The results of a study of two teachers, and the requests that the judge got."""
    root, server = link_workflow(tmp_path_factory.mktemp("thinking")), FaultServer(ThinkingJudge)
    shutil.copytree(tiny, root / "base")
    shutil.copytree(tiny_reward_model, root / "reward")
    write_lines(root / "asked.jsonl", [{"q": f"Name {i}."} for i in range(8)])
    for teacher, times in (("brief", 1), ("verbose", 4)):
        rows = [{"q": f"Name {i}.", "a": " ".join([f"**{WORDS[i]}**"] * times)} for i in range(8)]
        write_lines(root / f"{teacher}.jsonl", rows)
    prompts = [{"id": f"{c}{i}", "q": f"Prompt {i} of {c}: go", "category": c} for c in CATEGORIES for i in range(N)]
    write_lines(root / "prompts.jsonl", prompts)
    for c in CATEGORIES:
        write_lines(root / f"{c}.jsonl", [{"id": f"{c}{i}", "a": f"- it is {i}\n" * (i + 1)} for i in range(N)])
    source = {"path": "prompts.jsonl", "columns": {"id": "id", "instruction": "q"}}
    baselines = {c: {"path": f"{c}.jsonl", "columns": {"id": "id", "response": "a"}} for c in CATEGORIES}
    judged = {
        c: {
            "prompts": source | {"match": {"category": c}},
            "protocol": "arena_hard_v2",
            "judge": "thinker",
            "baseline_answers": baselines[c],
            "sampling": {"max_new_tokens": 40},
        }
        for c in CATEGORIES
    }
    judged["creative"]["judge_template"] = "config/judges/arena_hard_v2_creative.txt"
    endpoint = {"base_url": server.url, "api_key_env": None}
    columns = {"instruction": "q", "response": "a"}
    config = {
        "study": "thinking",
        "instructions": {"path": "asked.jsonl", "columns": {"instruction": "q"}, "n": 8},
        "teachers": {t: {"import": {"path": f"{t}.jsonl", "columns": columns}} for t in ("brief", "verbose")},
        "bases": {"base": {"model": "./base", "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"reward": {"model": "./reward", "gpus": 0}},
        "car": {"reward_model": "reward", "transform": "sigmoid"},
        "finetune": {"epochs": 1, "batch_size": 4, "micro_batch_size": 2, "max_length": 256},
        "judges": {"thinker": {"model": "m", "engine": "openai", "openai": endpoint, "gpus": 0}},
        "benchmarks": judged | {"words": judged["hard"] | {"protocol": "label"}},
        "ap": ["words.wr", "hard.style_controlled", "creative.wr"],
    }
    (root / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = snakemake("--cores", "2", "--configfile", "mine.yaml", cwd=root)
    server.shutdown()
    assert done.returncode == 0, done.stdout[-5000:]
    return root / "results/thinking", server.bodies


def score_of(results, benchmark, teacher):
    return json.loads((results / f"scores/{benchmark}/base/{teacher}.json").read_text(encoding="utf-8"))


def answers_of(results, benchmark, teacher):
    """The lengths of the model's and of the baseline's answer to each prompt."""
    mine = pl.read_parquet(results / f"answers/{benchmark}/base/{teacher}.parquet").select("id", "answer")
    theirs = pl.read_parquet(results / f"baselines/{benchmark}.parquet").select("id", baseline="answer")
    lengths = mine.join(theirs, on="id").with_columns(pl.col("answer", "baseline").str.strip_chars().str.len_chars())
    return lengths.fill_null(0).select("answer", "baseline").rows()


@pytest.mark.parametrize("teacher", ["brief", "verbose"])
@pytest.mark.parametrize("benchmark", ["words", "hard", "creative"])
def test_the_win_rate_is_that_of_the_judges_verdicts_and_not_of_its_thinking(finished, benchmark, teacher):
    results, _ = finished
    score = score_of(results, benchmark, teacher)
    answers = answers_of(results, benchmark, teacher)
    assert len(answers) == N and not any(mine == other for mine, other in answers)
    # an empty answer loses with a strong verdict in both games, which label does not have
    weights = [3 if not mine and benchmark != "words" else 1 for mine, _ in answers]
    wins = [weight * (mine > other) for weight, (mine, other) in zip(weights, answers, strict=True)]
    assert score["wr"]["value"] == pytest.approx(100 * sum(wins) / sum(weights))
    assert (score["n"], score["n_unparsed"]) == (N, 0) and score["orders_agree"] in (1, None)
    judged = pl.read_parquet(results / f"judgments/{benchmark}/base/{teacher}.parquet")
    asked = judged.filter(pl.col("decided").is_null())
    assert asked["text"].str.starts_with("<think>").all()
    assert asked.filter(pl.col("second_text").is_not_null())["id"].unique().to_list() in ([f"{benchmark}3"], ["hard3"])


def test_each_category_has_its_own_prompts_baseline_and_template(finished):
    results, bodies = finished
    for category in CATEGORIES:
        ids = pl.read_parquet(results / f"prompts/{category}.parquet")["id"].to_list()
        assert set(ids) == {f"{category}{i}" for i in range(N)}
        assert score_of(results, category, "brief")["baseline"] == f"{category}.jsonl"
    creative = [body["messages"][0]["content"] for body in bodies if "of creative" in body["messages"][1]["content"]]
    assert creative and not any("your own answer" in text for text in creative)


def test_ap_is_the_mean_of_the_scores_that_are_named(finished):
    results, _ = finished
    for row in read_csv(results / "tables/performance.csv").to_dicts():
        names = [("words", "wr"), ("hard", "style_controlled"), ("creative", "wr")]
        values = [score_of(results, benchmark, row["teacher"])[name]["value"] for benchmark, name in names]
        assert row["ap"] == pytest.approx(sum(values) / 3, abs=1e-6)
    assert style_of("**a** b")[3] == 1 and (results / "report.html").exists()
