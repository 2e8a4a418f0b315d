"""A judge that grades single answers: its texts are read as grades, and grades become scores and their differences."""

import json
import math
import re

import numpy as np
import polars as pl
import pytest

from conftest import ROOT
from fault_server import FaultServer
from judge_server import Grader
from scripts.correlations import average_performance, compare_ap
from scripts.judgments.grade_texts import grade
from scripts.judgments.graded_answers import list_answers
from scripts.judgments.judge_templates import fill_template, read_template
from scripts.tables.files import read_csv
from test_judge_pairs import API, KEY, run

TEXTS = {  # a judge's text, as FastChat's llm_judge reads it (see theirs), and the grade; ... if both are equal
    "Helpful and right. Rating: [[7]]": (7, ...),
    "[[7.5]]": (7.5, ...),
    "Rating: [[10]]": (10, ...),
    "Rating: [[1]]": (1, ...),
    "Rating: [7]": (7, ...),
    "[7]": (7, ...),
    "Rating: [[7]] (out of 10)": (7, ...),
    "[[7.0]]": (7, ...),
    "$\\boxed{[[6]]}$": (6, ...),
    '{"explanation": "ok", "rating": "[[4]]"}': (4, ...),
    "I cannot rate this.": (None, ...),
    "": (None, ...),
    "[[rating]]": (None, ...),
    "[[7, 8]]": (None, ...),
    "[[7-8]]": (None, ...),
    "Rating: eight": (None, ...),
    "Rating: 7": (None, 7),
    "**Rating:** 7/10": (None, 7),
    "Rating (1-10): 7": (None, 7),
    "My rating is 9.": (None, 9),
    "Grade: 9/10.": (None, 9),
    '{"rating": 7}': (None, 7),
    "I would give it 7/10.": (None, 7),
    "I'd rate this answer 8 out of 10 because it is complete.": (None, 8),
    "Accuracy: 8/10\nStyle: 6/10\nOverall rating: 7/10": (None, 7),
    "[[7/10]]": (None, 7),
    "[[ 7 ]]": (None, 7),
    "[[Rating: 7]]": (None, 7),
    "\\[\\[7\\]\\]": (None, 7),
    "\\boxed{6}": (None, 6),
    "【【7】】": (None, 7),
    "8": (None, 8),
    "Accuracy score: 8\nStyle score: 6": (None, None),  # neither is the grade
    "Rating: 4/5": (None, None),
    "Rating: 7-8": (None, None),
    "Rating: -7": (None, None),
    "Rating: 7½": (None, None),
    "Rating: 70%": (None, None),
    "Score: 85": (None, None),
    "Final score: 10 - 2 = 8": (None, None),
    "Final score: 6 + 2 = 8": (None, None),
    "The triangle has an area of 3/10 of the square.": (None, None),
    "The score of the match was 3, as asked.": (None, None),
    # otherwise than FastChat: a number outside 1 to 10, drafts, lists, sources
    "[[0]]": (0, None),
    "Rating: [[11]]": (11, None),
    "[[8]]/100": (8, None),
    "At first [[5]], but the proof holds. Rating: [[8]]": (5, 8),
    "Relevance: [[8]]\nAccuracy: [[6]]\nOverall: [[7]]": (8, 7),
    "<think>[[3]], maybe.</think>Rating: [[9]]": (3, 9),
    "<think>Perhaps [[3]]": (3, None),
    "[[7]] or [[8]]": (7, None),
    "[[7]]\n[[8]]": (7, None),
    "I must use a format such as [[5]].": (5, None),
    "Not [[9]], but [[6]]": (9, 6),
    "The answer cites [1] and [2].": (1, None),
    "The answer cites [1] and [2]. Rating: [8]": (1, 8),
    "The list a[[1]] is wrong. [[3]]": (1, 3),
}


def theirs(text):
    """The first number in double brackets, or else in single ones, as in lm-sys/FastChat at 0e6d3e4."""
    found = re.search(r"\[\[(\d+\.?\d*)\]\]", text) or re.search(r"\[(\d+\.?\d*)\]", text)
    return float(found[1]) if found else None


@pytest.mark.parametrize("text", TEXTS)
def test_a_judges_text_is_read_as_a_grade_or_as_none(text):
    of_fastchat, expected = TEXTS[text]
    assert theirs(text) == of_fastchat
    assert grade(text) == (of_fastchat if expected is ... else expected)


def test_a_text_that_was_cut_has_a_grade_only_at_its_end():
    assert grade("It is fine. [[7]]", cut=True) == 7
    assert grade("Perhaps [[7]], because the", cut=True) is None and grade("Perhaps [[7]], because the") == 7


def test_a_reference_is_a_part_of_the_template_that_prompts_without_one_do_not_have():
    template = read_template(ROOT / "config/judges/grade.txt", ["output"])
    texts = {"instruction": "{output}", "output": "{reference}"}
    with_it = fill_template(template, **texts, reference="{instruction}")[1]["content"]
    without = fill_template(template, **texts, reference=None)[1]["content"]
    assert "A right answer, to compare with\n\n{instruction}\n\n# The assistant's answer\n\n{reference}" in with_it
    assert "{output}\n\n# The assistant's answer\n\n{reference}" in without and "reference|" not in with_it + without
    with pytest.raises(SystemExit, match=r"needs {instruction}, and {output} once; found"):
        read_template(ROOT / "config/judges/label.txt", ["output"])


@pytest.fixture
def server():
    server = FaultServer(Grader)
    yield server
    server.shutdown()
    server.server_close()


def two_turns(*questions, references=None):
    """Prompts of two turns, as prepare_instructions writes them."""
    rows = [
        {
            "id": str(n),
            "instruction": f"user: {first}\n\nuser: {second}",
            "messages": json.dumps([{"role": "user", "content": text} for text in (first, second)]),
            "n_turns": 2,
            "reference": references and json.dumps(references),
        }
        for n, (first, second) in enumerate(questions)
    ]
    return pl.DataFrame(rows, schema_overrides={"reference": pl.String, "n_turns": pl.Int32})


def answered(*texts, teacher="t", reasons=("empty", "earlier_turn_empty")):
    """A table of answers of (first, second) for each prompt; None is an answer that there is not."""
    rows = [
        {"id": str(n), "turn": turn, "answer": text, "reason": None if text else reasons[turn - 1]}
        for n, pair in enumerate(texts)
        for turn, text in enumerate(pair, 1)
    ]
    names = {"benchmark": "b", "base": "x", "teacher": teacher, "finish_reason": "stop", "n_tokens": 5}
    frame = pl.DataFrame(rows, schema_overrides={"turn": pl.Int32, "answer": pl.String, "reason": pl.String})
    return frame.with_columns(pl.lit(value).alias(name) for name, value in names.items())


def judge(server, folder, prompts, answers, status=0):
    """The judgments of the script, and what it printed. answers: teacher to table."""
    prompts.write_parquet(folder / "prompts.parquet")
    template = (
        "<|im_start|>user\n<|reference|>\nR: {reference}\n<|/reference|>\nQ: {instruction}\nA: {output}<|im_end|>"
    )
    (folder / "template.txt").write_text(template, encoding="utf-8")
    endpoint = {"base_url": server.url, "api_key_env": "JUDGE_KEY", "max_tokens_name": "max_tokens"}
    files = {teacher: folder / f"{teacher}-answers.parquet" for teacher in answers}
    for teacher, path in files.items():
        answers[teacher].write_parquet(path)
    given = ["--judge", json.dumps({"engine": "openai", "model": "m", "openai": endpoint})]
    given += ["--template", folder / "template.txt", "--prompts", folder / "prompts.parquet"]
    given += ["--api", json.dumps(API | {"ledger": str(folder / "spent_usd.txt")}), "--store", folder / "rows"]
    given += ["--pairs", *(f"x/{teacher}" for teacher in answers), "--answers", *files.values()]
    given += ["--outputs", *(folder / f"{teacher}.parquet" for teacher in answers)]
    printed = run("scripts.judgments.judge_grades", *map(str, given), status=status)
    assert KEY not in printed
    return [pl.read_parquet(folder / f"{t}.parquet") for t in answers] if status == 0 else [], printed


def scores(folder, *teachers):
    given = ["--pairs", *(f"x/{teacher}" for teacher in teachers)]
    given += ["--judgments", *(str(folder / f"{teacher}.parquet") for teacher in teachers)]
    given += ["--outputs", *(str(folder / f"{teacher}.json") for teacher in teachers)]
    run("scripts.scores.score_grade", "--benchmark", "b", "--judge", "j", *given)
    return [json.loads((folder / f"{teacher}.json").read_text(encoding="utf-8")) for teacher in teachers]


def words(n):
    return " ".join(["word"] * n)


def test_two_turns_are_graded_from_answers_to_average_performance(server, tmp_path):
    """The grade of the judge is the number of words of an answer, so that all scores can be computed by hand."""
    prompts = two_turns(*((f"Q{n}", f"Then {n}") for n in range(4)), references=["a", "b"])
    grades = {"t": [(2, 4), (6, 6), (10, 3), (1, 8)], "u": [(3, 4), (6, 8), (10, 4), (5, 8)]}
    tables = {t: answered(*((words(a), words(b)) for a, b in of_t), teacher=t) for t, of_t in grades.items()}
    judged, _ = judge(server, tmp_path, prompts, tables)
    sent = {body["messages"][0]["content"] for body in server.bodies}
    assert len(server.bodies) == 16 and sent >= {
        f"R: a\nQ: Q0\nA: {words(2)}",
        f"R: turn 1: a\n\nturn 2: b\nQ: user: Q0\n\nassistant: {words(2)}\n\nuser: Then 0\nA: {words(4)}",
    }
    assert judged[0].select("id", "turn").rows() == [(str(n), turn) for n in range(4) for turn in (1, 2)]
    t, _ = scores(tmp_path, "t", "u")
    of_prompts = np.array([3, 6, 6.5, 4.5])  # means over both turns
    assert t["grade"]["value"] == pytest.approx(10 * of_prompts.mean()) == 50
    assert t["grade"]["se"] == pytest.approx(10 * of_prompts.std(ddof=1) / 2)
    assert t["grade"]["ci"][0] < 50 < t["grade"]["ci"][1]
    assert (t["turn_1"]["value"], t["turn_2"]["value"]) == (47.5, 52.5)
    assert (t["n"], t["n_unparsed"], t["scale"], t["baseline"]) == (4, 0, 10, None)
    assert t["n_prompt_tokens"] == 8 * 40

    files = [str(tmp_path / f"{teacher}.json") for teacher in "tu"]
    performance, differences = tmp_path / "performance.csv", tmp_path / "differences.csv"
    given = ["--ap", "b.grade", "--treatments", '{"x": "full"}', "--scores", *files, "--output", str(performance)]
    run(average_performance.__name__, *given)
    ap = dict(read_csv(performance).select("teacher", "ap").rows())
    assert ap == {"t": pytest.approx(50), "u": pytest.approx(60)}
    judgments = [str(tmp_path / f"{teacher}.parquet") for teacher in "tu"]
    for ap, paired in (("b.grade", [-5.0, -10.0, -5.0, -20.0]), ("b.turn_2", [0.0, -20.0, -10.0, 0.0])):
        given = ["--ap", ap, "--treatments", '{"x": "full"}', "--scores", *files, "--output", str(performance)]
        run(average_performance.__name__, *given)
        given = ["--ap", ap, "--performance", str(performance), "--judgments", *judgments, "--output", str(differences)]
        run(compare_ap.__name__, *given)
        row = read_csv(differences).row(0, named=True)
        assert row["paired"] and row["difference"] == pytest.approx(np.mean(paired))
        assert row["se"] == pytest.approx(np.std(paired) / math.sqrt(4), rel=0.1)  # of resamples
    message = run(average_performance.__name__, "--ap", "b.turn_3", *given_for(files, performance), status=1)
    assert "ap: b has no score turn_3 for t; it has grade, turn_1, turn_2" in message


def given_for(files, performance):
    return ["--treatments", '{"x": "full"}', "--scores", *files, "--output", str(performance)]


def test_a_judge_without_a_grade_is_asked_once_to_finish(server, tmp_path):
    questions = ["draft_grade q", "unsure q", "too_high,too_high q", "refuse,refuse q", "Plain q", "Other q", "Third q"]
    prompts = pl.DataFrame({"id": [str(n) for n in range(7)], "instruction": questions})
    answers = answered(*((words(4),) for _ in questions)).drop("turn")
    (judged,), _ = judge(server, tmp_path, prompts, {"t": answers})
    asked = {q: server.asked[q] for q in questions}
    assert list(asked.values()) == [1, 2, 2, 2, 1, 1, 1]
    finish = next(body["messages"] for body in server.bodies if len(body["messages"]) == 3)
    assert "1 to 10 in double brackets" in finish[-1]["content"]
    assert judged["second_text"].null_count() == 4 and set(judged["turn"]) == {1}
    (score,) = scores(tmp_path, "t")
    assert score["reason"].startswith("2 of 7 judgments cannot be read, more than 10%: no grade (2)")
    given = ["--max-unparsed", "0.5", "--benchmark", "b", "--judge", "j", "--pairs", "x/t"]
    files = ["--judgments", str(tmp_path / "t.parquet"), "--outputs", str(tmp_path / "t.json")]
    run("scripts.scores.score_grade", *given, *files)
    score = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert score["grade"]["value"] == pytest.approx(10 * (8 + 4 + 4 + 4 + 4) / 5) and "turn_1" not in score
    low, high = score["grade"]["ci"]  # the two prompts may have had 1, or 10
    assert low < 10 * (24 + 2) / 7 and high > 10 * (24 + 20) / 7


def test_an_empty_answer_has_the_lowest_grade_and_one_that_was_never_asked_for_has_none(server, tmp_path):
    prompts = two_turns(("Q0", "T0"), ("Q1", "T1"), ("Q2", "T2"), ("Q3", "T3"))
    answers = answered((words(5), None), (None, None), (words(7), words(9)), (words(2), words(2)))
    unasked = pl.when(id="3", turn=2).then(pl.lit("prompt_over_long")).otherwise("reason").alias("reason")
    answers = answers.with_columns(unasked, answer=pl.when(pl.col("id") + "2" != "32").then("answer"))
    answers = answers.with_columns(reason=pl.when(id="3", turn=1).then(pl.lit("prompt_over_long")).otherwise("reason"))
    rows = list_answers(prompts, answers)
    assert rows["decided"].to_list() == [None, "empty", "empty", "empty", None, None, None, None]
    assert rows["reason"].to_list() == [None] * 6 + ["prompt_over_long"] * 2
    judge(server, tmp_path, prompts, {"t": answers})
    assert len(server.bodies) == 3
    given = ["--max-unparsed", "0.5", "--benchmark", "b", "--judge", "j", "--pairs", "x/t"]
    run(
        "scripts.scores.score_grade",
        *given,
        "--judgments",
        str(tmp_path / "t.parquet"),
        "--outputs",
        str(tmp_path / "s"),
    )
    score = json.loads((tmp_path / "s").read_text(encoding="utf-8"))
    assert score["grade"]["value"] == pytest.approx(10 * np.mean([(5 + 1) / 2, 1, 8]))
    assert (score["turn_1"]["value"], score["n"]) == (pytest.approx(10 * np.mean([5, 1, 7])), 3)
    assert score["unparsed"] == {"prompt_over_long": 2}


def test_a_judge_of_whose_first_outputs_none_is_a_grade_is_not_asked_further(server, tmp_path):
    prompts = pl.DataFrame(
        {"id": [str(n) for n in range(20)], "instruction": [f"refuse,refuse {n}" for n in range(20)]}
    )
    answers = answered(*((words(4),) for _ in range(20))).drop("turn")
    _, printed = judge(server, tmp_path, prompts, {"t": answers}, status=1)
    assert "the first 8 outputs of the judge cannot be read" in printed and len(server.bodies) <= 16
