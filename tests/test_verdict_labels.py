"""Every form in which judges write a verdict is read, a draft in thinking is not, and the rest is asked again."""

import polars as pl
import pytest

from conftest import ROOT
from scripts.judgments.verdict_labels import strict_verdict, verdict, winner

RECORDED = pl.read_parquet(ROOT / "tests/data/arena_hard/verdicts.parquet").to_dicts()

# the text of a judge; its verdict, or None if it is asked again; whether Arena-Hard v0.1 reads the same
TEXTS = [
    ("My final verdict is: [[A>>B]]", "A>>B", True),
    ("[[A>B]]", "A>B", True),
    ("[[A=B]]", "A=B", True),
    ("[[B>A]]", "B>A", True),
    ("[[B>>A]]. B is much more complete.", "B>>A", True),
    ("**[[A>B]]**", "A>B", True),
    ("`[[A>B]]`", "A>B", True),
    ("[[A>B]], as said: [[A>B]]", "A>B", True),
    (r"$\boxed{[[A>B]]}$", "A>B", True),
    ("[[ A>B ]]", "A>B", False),
    ("[[A >> B]]", "A>>B", False),
    ("[[A > > B]]", "A>>B", False),
    ("[[A\u00a0>\u00a0B]]", "A>B", False),
    ("[[\nB>A\n]]", "B>A", False),
    ("[[A\u200b>B]]", "A>B", False),
    ("[[**A>B**]]", "A>B", False),
    ('[["B>A"]]', "B>A", False),
    ("[[A＞B]]", "A>B", False),
    ("[[A&gt;&gt;B]]", "A>>B", False),
    ("[[a>b]]", "A>B", False),
    ("[[b>>a]]", "B>>A", False),
    ("[A>B]", "A>B", False),
    ("[[A>B]", "A>B", False),
    ("[B>>A]]", "B>>A", False),
    ("[[Assistant A > Assistant B]]", "A>B", False),
    ("[[Verdict: B>A]]", "B>A", False),
    (r"\boxed{A>B}", "A>B", False),
    (r"$\boxed{\text{B} \gg \text{A}}$", "B>>A", False),
    (r"\boxed{A}", "A>B", False),
    (r"[[A \gg B]]", "A>>B", False),
    (r"[[A \ll B]]", "B>>A", False),
    ("[[A≫B]]", "A>>B", False),
    (r"\[\[A>B\]\]", "A>B", False),
    (r"\[A \gg B\]", "A>>B", False),
    ("[[A<B]]", "B>A", False),
    ("[[A<<B]]", "B>>A", False),
    ("[[B<A]]", "A>B", False),
    ("[[B<<A]]", "A>>B", False),
    ("[[B=A]]", "A=B", False),
    ("[[A==B]]", "A=B", False),
    ("[[A]]", "A>B", False),
    ("[[B]]", "B>A", False),
    ("[[Tie]]", "A=B", False),
    ("A>B", "A>B", False),
    ("Both are right.\n\nFinal verdict: B >> A.", "B>>A", False),
    ("Verdict: a = b", "A=B", False),
    ("**Verdict: A>B**", "A>B", False),
    # corrected, or with the labels named before
    ("[[A>B]] ... wait, B has the right sum. [[B>A]]", "B>A", False),
    ("One of [[A>>B]], [[A>B]], [[A=B]], [[B>A]], [[B>>A]].\n\nMy verdict: [[A=B]]", "A=B", False),
    ("I say [[A>B]] (of [[A>>B]], [[A>B]], [[A=B]], [[B>A]], [[B>>A]])", "A>B", False),
    ("The answer to [[A]] and [[B]] differs. [[B>>A]]", "B>>A", False),
    # thinking
    ("<think>maybe [[A>>B]]</think>\n[[B>A]]", "B>A", False),
    ("maybe [[A>>B]]\n</think>\n\n[[B>A]]", "B>A", False),
    ("[THINK]maybe [[A>>B]][/THINK][[A>B]]", "A>B", False),
    ("<thinking>maybe [[A>>B]]</thinking> [[A=B]]", "A=B", False),
    ("◁think▷maybe [[A>>B]]◁/think▷[[B>>A]]", "B>>A", False),
    ("<think>so far [[A>B]], but", None, False),
    ("<think>it is [[A>B]]</think>", None, False),
    ("<think>x</think> [[A>B]] <think>or rather", None, False),
    # no verdict
    ("I cannot judge this.", None, True),
    ("Assistant A is better.", None, True),
    ("", None, True),
    ("One of [[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]].", None, True),
    ("[[A>>>B]]", None, False),
    ("[[A>B>A]]", None, False),
    ("[[A>A]]", None, False),
    ("[[A>=B]]", None, False),
    ("[[C]]", None, True),
    ("[[A vs B]]", None, True),
    ("The loop ends if a > b, which is right.", None, True),
    ("It keeps x[a > b] and counts.", None, True),
    ("A is right where B fails: A > B holds for n > 2 in its proof.", None, True),
]


@pytest.mark.parametrize(("text", "expected", "in_exact_form"), TEXTS)
def test_a_verdict_is_read_or_asked_for_again(text, expected, in_exact_form):
    assert verdict(text) == expected
    assert (strict_verdict(text) == expected) == in_exact_form


def test_both_readings_give_what_was_recorded_for_the_same_judgments():
    for read in (verdict, strict_verdict):
        from_tail = [read(row["tail"]) == row["score_recorded"] for row in RECORDED]
        labels = [" ".join(f"[[{found}]]" for found in row["brackets"]) for row in RECORDED]
        from_all = [read(text) == row["score_recorded"] for text, row in zip(labels, RECORDED, strict=True)]
        assert (sum(from_tail), sum(from_all), len(from_all)) == (538, 550, 550)


def test_the_strict_reading_has_no_verdict_where_labels_differ():
    assert strict_verdict("[[A>B]] or rather [[B>A]]") is None
    assert strict_verdict("[[A=B]], I said [[A=B]]") == "A=B"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So it is [[A>B]]", "A>B"),
        ("So it is [[A>B]].\n", "A>B"),
        ("Let me compare. [[A>B]] seems fair, but let me check the second", None),  # thinking without marks
        ("<think>done</think>Then [[B>A]] because it", None),
        ("So it is [[A>", None),
    ],
)
def test_a_text_that_was_cut_has_a_verdict_only_at_its_end(text, expected):
    assert verdict(text, cut=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", "A>B"),
        ("b", "B>A"),
        (" B.\n", "B>A"),
        ("**A**", "A>B"),
        ("(B)", "B>A"),
        ('"A"', "A>B"),
        ("Answer A", "A>B"),
        ("Assistant B is better.", "B>A"),
        ("The better answer: B", "B>A"),
        ("B gives a source.\n\nB", "B>A"),
        ("<think>A or B? A</think>\n\nB", "B>A"),
        ("[[B]]", "B>A"),
        ("[[A>>B]]", "A>>B"),
        ("tie", "A=B"),
        ("<think>A", None),
        ("A or B", None),
        ("A good answer", None),
        ("The answer that is worse is A", None),
        ("Neither", None),
        ("", None),
    ],
)
def test_one_word_names_the_better_answer(text, expected):
    assert winner(text) == expected


def test_a_word_that_was_cut_names_nothing():
    assert winner("Both are short.\nA", cut=True) is None
    assert winner("Both are short. [[A]]", cut=True) == "A>B"
