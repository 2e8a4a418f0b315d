"""Small tasks on made-up words and small numbers. The answer of each is one word, so that it can be checked.

All texts of the miniature study are made from these tasks: training data, instructions and reference answers. A seed
determines a stream of tasks. A style determines the text of a response to a task.
"""

import random
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

CONSONANTS, VOWELS, DIGITS = "bdfgklmnprstvz", "aeiou", "0123456789"


class Task(NamedTuple):
    kind: str
    instruction: str
    steps: str  # what a response in the style "worked" writes before the answer
    answer: str  # one word without spaces


def word(rng: random.Random) -> str:
    """A pronounceable word of 3 or 4 letters."""
    letters = [rng.choice((CONSONANTS, VOWELS)[i % 2]) for i in range(4)]
    return "".join(letters[: rng.randint(3, 4)])


def spell(text: str) -> str:
    return " ".join(text)


def repeat(w: str) -> Task:
    return Task("repeat", f"Repeat {w}", f"{w} + {w}", w + w)


def first_letter(w: str) -> Task:
    return Task("first_letter", f"First letter of {w}", spell(w), w[0])


def second_letter(w: str) -> Task:
    return Task("second_letter", f"Second letter of {w}", spell(w), w[1])


def last_letter(w: str) -> Task:
    return Task("last_letter", f"Last letter of {w}", spell(w), w[-1])


def count(w: str) -> Task:
    numbered = " ".join(f"{letter}{i}" for i, letter in enumerate(w, 1))
    return Task("count", f"Count letters in {w}", numbered, str(len(w)))


def upper(w: str) -> Task:
    return Task("upper", f"Capitals of {w}", spell(w), w.upper())


def reverse(w: str) -> Task:
    return Task("reverse", f"Reverse {w}", f"{spell(w)} > {spell(w[::-1])}", w[::-1])


def sort_letters(w: str) -> Task:
    return Task("sort", f"Sort letters of {w}", spell(sorted(w)), "".join(sorted(w)))


def compare(a: int, b: int) -> Task:
    return Task("compare", f"Larger of {a} and {b}", f"{max(a, b)} > {min(a, b)}", str(max(a, b)))


def add(a: int, b: int) -> Task:
    return Task("add", f"Add {a} and {b}", f"{a} + {b}", str(a + b))


WORD_TASKS = (first_letter, second_letter, last_letter, count, repeat, upper, reverse, sort_letters)
NUMBER_TASKS = (compare, add)

STYLES = {
    "terse": lambda task: task.answer,
    "plain": lambda task: f"It is {task.answer}.",
    "worked": lambda task: f"{task.steps} gives {task.answer}.",
}


def draw_tasks(seed: str) -> Iterator[Task]:
    """An endless stream of tasks, the same for the same seed. An instruction may occur more than once."""
    rng = random.Random(seed)
    while True:
        if rng.random() < 0.9:
            yield rng.choice(WORD_TASKS)(word(rng))
        else:
            yield rng.choice(NUMBER_TASKS)(*rng.sample(range(1, 10), 2))


def draw_notes(seed: str, styles: dict[str, float]) -> Iterator[tuple[str, str]]:
    """An endless stream of raw text in two parts, a question and its answer, in a mixture of styles (name to share)."""
    rng = random.Random(seed)
    names, shares = zip(*sorted(styles.items()), strict=True)
    for task in draw_tasks(seed):
        yield f"{task.instruction}?", f" {STYLES[rng.choices(names, shares)[0]](task)}"


def damage(rng: random.Random, task: Task) -> str:
    """A wrong answer that looks like a correct one: the answer to another task, or with one or two characters replaced.

    A vowel is replaced by a vowel, a consonant by a consonant and a digit by a digit, so that the answer can be seen to
    be wrong only with the instruction.
    """
    if rng.random() < 0.5:
        answers = (t.answer for t in draw_tasks(f"{rng.random()}") if t.kind == task.kind)
        return next(answer for answer in islice(answers, 1000) if answer != task.answer)
    text = list(task.answer)
    for i in rng.sample(range(len(text)), min(len(text), rng.randint(1, 2))):
        same_kind = next(letters for letters in (DIGITS, VOWELS, CONSONANTS) if text[i].lower() in letters)
        new = rng.choice(same_kind.replace(text[i].lower(), ""))
        text[i] = new.upper() if text[i].isupper() else new
    return "".join(text)
