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

# further shapes: other spellings, labels that are only mentioned, other marks of thinking, code
SHAPES = [
    ("Is it [[A>B]]?", None),
    ("Is it [[A>B]]? No: [[B>A]]", "B>A"),
    ("If B is out of date [[A>B]], otherwise [[B>A]].", None),
    ("My final verdict is a tie: [[A=B]]", "A=B"),
    ("**[[A>B]]**", "A>B"),
    ("Verdict: A>>B", "A>>B"),
    ("[[A＞＞B]]", "A>>B"),
    ("［［A＞B］］", "A>B"),
    ("【A>B】", "A>B"),
    ("【【B>>A】】", "B>>A"),
    ("⟦A>B⟧", "A>B"),
    ("[[A&#62;B]]", "A>B"),
    ("[[A&#x3E;&#x3E;B]]", "A>>B"),
    ("&lsqb;&lsqb;A&gt;B&rsqb;&rsqb;", "A>B"),
    ("[[A\\u003eB]]", "A>B"),
    ("\\text{[[A>B]]}", "A>B"),
    ("\\boxed{\\text{[[A>>B]]}}", "A>>B"),
    ("$\\boxed{\\mathbf{\\text{A}} > \\mathbf{\\text{B}}}$", "A>B"),
    ("\\boxed{{A}\\gg{B}}", "A>>B"),
    ("\\operatorname{A} \\gg \\operatorname{B}", "A>>B"),
    ("[[A\\textgreater B]]", "A>B"),
    ("[[A\\textgreater{}\\textgreater{}B]]", "A>>B"),
    ("[[A\\>B]]", "A>B"),
    ("[[A \\> \\> B]]", "A>>B"),
    ("\\boxed{\\left[\\left[A>B\\right]\\right]}", "A>B"),
    ("[[A \\quad > \\quad B]]", "A>B"),
    ("\\boxed{\\texttt{[[B>A]]}}", "B>A"),
    ("\\textbf{Verdict: [[B>A]]}", "B>A"),
    ("$[[\\text{B} > \\text{A}]]$", "B>A"),
    ("[[A \\simeq B]]", "A=B"),
    ("Final verdict: A is better", None),
    ("[[A>B]]\r\n", "A>B"),
    ("Final verdict:\r\n[[B>>A]]\r\n", "B>>A"),
    ("Verdict: A>B\r\n", "A>B"),
    ("[[A>B]] [[A>B]]", "A>B"),
    ("[[A>B]]\n[[B>A]]", "B>A"),
    ("[[A>B]][[A>>B]]", "A>>B"),
    ("I must choose between [[A>B]] and [[B>A]].", None),
    ("It is [[A>B]] or [[A>>B]].", None),
    ("[[A>B]] / [[A=B]]", None),
    ("[[A>B]], [[A=B]] or [[B>A]]", None),
    ("It is [[A>B]] or [[A>>B]]. I decide: [[A>>B]]", "A>>B"),
    ('Example output: "My final verdict is tie: [[A=B]]".', None),
    (
        "1. A is significantly better: [[A>>B]]\n2. A is slightly better: [[A>B]]\n3. Tie: [[A=B]]\n"
        "4. B is slightly better: [[B>A]]\n5. B is significantly better: [[B>>A]]\n\n"
        'Example output: "My final verdict is tie: [[A=B]]".',
        None,
    ),
    ("output a label such as [[A>B]].", None),
    ("You asked for a label, e.g. [[A>B]], but I will not.", None),
    ("I would not say [[A>>B]].", None),
    ("[[A>B]], not [[A>>B]]", "A>B"),
    ("[[A>B]] rather than [[A>>B]]", "A>B"),
    ("not [[A>>B]] but [[A>B]]", "A>B"),
    ("It isn't [[A>B]].", None),
    ("> [[A>B]]", "A>B"),
    ("```\n[[A>B]]\n```", "A>B"),
    ('{"verdict": "[[A>B]]"}', "A>B"),
    ('{"verdict": "A>B"}', "A>B"),
    ('```json\n{\n  "explanation": "x",\n  "verdict": "B>>A"\n}\n```', "B>>A"),
    ("<verdict>[[A>B]]</verdict>", "A>B"),
    ("<verdict>A>B</verdict>", "A>B"),
    ("<answer>\nB>>A\n</answer>", "B>>A"),
    ("<b>[[A&gt;B]]</b>", "A>B"),
    ("[[A]] > [[B]]", "A>B"),
    ("[A] >> [B]", "A>>B"),
    ("**A** > **B**", "A>B"),
    ("[[A]]>>[[B]]", "A>>B"),
    ("[[A]] is better than [[B]].", "A>B"),
    ("[[A]] or [[B]]?", None),
    ("[[A]]. Yes, [[A]].", "A>B"),
    ("[[A⪢B]]", "A>>B"),
    ("[[A\u2060>\xadB]]", "A>B"),
    ("[[А>В]]", "A>B"),
    ("判决为[[A>B]]", "A>B"),
    ("判决为[A>>B]", "A>>B"),
    ("最终判决：A>B", "A>B"),
    ("return [a > b]", None),
    ("mask = [a > b]", None),
    ("```python\nmask = arr[[a > b]]\n```", None),
    ("Both say the loop ends when A > B.", None),
    ("So P(A) holds for all A = B.", None),
    ("My final verdict is A>>B.", "A>>B"),
    ("My verdict is not A>B", None),
    ("Verdict: A>B or A>>B", None),
    ("Choose one: A>>B, A>B, A=B, B>A, B>>A", None),
    ("<analysis>maybe [[A>B]]", None),
    ("<analysis>maybe [[A>B]]</analysis>\n<verdict>[[B>A]]</verdict>", "B>A"),
    ("<|channel|>analysis<|message|>maybe [[A>B]]<|end|><|start|>assistant<|channel|>final<|message|>[[B>A]]", "B>A"),
    ("<|channel|>analysis<|message|>maybe [[A>B]]", None),
    ("<|START_THINKING|>[[A>B]]<|END_THINKING|>[[B>A]]", "B>A"),
    ("<|START_THINKING|>[[A>B]]", None),
    ("<think>\n[[A>B]]\n</think >\n[[B>A]]", "B>A"),
    ("<thoughts>[[A>B]]</thoughts>[[A=B]]", "A=B"),
    ("<reflection>[[A>B]]</reflection>[[A=B]]", "A=B"),
    ("<THINK>[[A>B]]", None),
    ("<think>a<think>b</think>[[A>B]]</think>[[B>A]]", "B>A"),
    ("<|begin_of_thought|>[[A>B]]", None),
    ("<scratchpad>[[A>B]]", None),
    ("[[A>B", "A>B"),
    ("[[A>", None),
    ("[[>]]", None),
    ("[[]]", None),
    ("[[A<>B]]", None),
    ("[[A≥B]]", None),
    ("[[A!=B]]", None),
    ("[[A≠B]]", None),
    ("[[A \\neq B]]", None),
    ("[[A \\geq B]]", None),
    ("[[A->B]]", None),
    ("[[AB]]", None),
    ("[[A>C]]", None),
    ("[[Model A >> Model B]]", "A>>B"),
    ("[[Assistant_A>Assistant_B]]", "A>B"),
    ("[[Response A = Response B]]", "A=B"),
    ("[ [A>B] ]", "A>B"),
    ("[[[A>B]]]", "A>B"),
    ("{{A>B}}", "A>B"),
    ("[[A>B]].", "A>B"),
    ("*[[A>B]]*", "A>B"),
    ("__[[A>B]]__", "A>B"),
    ("~~[[A>>B]]~~ [[A>B]]", "A>B"),
    ('"[[A>B]]"', "A>B"),
    ("'[[A>B]]'", "A>B"),
    ("### Verdict\n\nA > B", "A>B"),
    ("### Verdict\n\n**A = B**", "A=B"),
    ("- Verdict: [B > A]", "B>A"),
    ("| Verdict | [[A>B]] |", "A>B"),
    ("Answer: $A \\gg B$", "A>>B"),
    ("Answer: \\(A \\gg B\\)", "A>>B"),
]


@pytest.mark.parametrize(("text", "expected", "in_exact_form"), TEXTS)
def test_a_verdict_is_read_or_asked_for_again(text, expected, in_exact_form):
    assert verdict(text) == expected
    assert (strict_verdict(text) == expected) == in_exact_form


@pytest.mark.parametrize(("text", "expected"), SHAPES)
def test_a_verdict_is_read_in_other_spellings_and_not_where_it_is_only_mentioned(text, expected):
    assert verdict(text) == expected


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
        ("A\r\n", "A>B"),
        ("Ａ", "A>B"),
        ("<answer>A</answer>", "A>B"),
        ("\\boxed{\\text{B}}", "B>A"),
        ('{"winner": "A"}', "A>B"),
        ("Answer: **(B)**", "B>A"),
        ("A\n\nAssistant A is more complete.", "A>B"),
        ("I choose B.", "B>A"),
        ("My choice is A", "A>B"),
        ("The better answer is B.", "B>A"),
        ("The winner is assistant A", "A>B"),
        ("Worse answer: A", None),
        ("The worse one is B", None),
        ("A is better than B", "A>B"),
        ("A is worse", None),
        ("Not A", None),
        ("It's a tie", "A=B"),
        ("a tie", "A=B"),
        ("A > B", "A>B"),
        ("A/B", None),
        ("A, B", None),
        ("A and B", None),
        ("Assistant A's answer", "A>B"),
        ("[A]", "A>B"),
        ("Answer: [B]", "B>A"),
        ("[[A]] vs [[B]]\n\nB", "B>A"),
        ("Both", None),
        ("C", None),
        ("Option A", "A>B"),
        ("<think>\nB\n</think>\n\nA", "A>B"),
        ("> A", "A>B"),
        ("# B", "B>A"),
        ("- A", "A>B"),
        ("__B__", "B>A"),
        ("A wins.", "A>B"),
        ("B is the better answer", "B>A"),
        ("B is significantly better.", "B>A"),
        ("Final answer: A.", "A>B"),
        ("Better answer: B", "B>A"),
        ("Neither A nor B", None),
        ("A good answer is B's", None),
        ("not: A", None),
        ("Loser: A", None),
        ("A or B?", None),
        ("Cannot decide between A and B", None),
        ("B\n", "B>A"),
        ("答案：A", "A>B"),
        ("Answer A is wrong. Answer B", None),
        ("I prefer A", "A>B"),
        ("I'd go with B", "B>A"),
        ("The answer is A", "A>B"),
        ("Answer A beats answer B", None),
        ("**A**\n- good\n**B**\n- bad", None),
        ("B\nIt cites its source.", "B>A"),
        ("I do not prefer A", None),
    ],
)
def test_one_word_names_the_better_answer(text, expected):
    assert winner(text) == expected


def test_a_word_that_was_cut_names_nothing():
    assert winner("Both are short.\nA", cut=True) is None
    assert winner("Both are short. [[A]]", cut=True) == "A>B"


@pytest.mark.parametrize("part", ["[", " ", "\n", "_", "[[A ", "A > ", "\\text{", "<think>", "[A]>", "answer: "])
def test_a_long_text_without_a_label_ends_without_one(part):
    assert verdict(part * 5000) is None and winner(part * 5000) is None
