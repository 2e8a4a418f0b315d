"""Small checkable tasks on made-up words and small numbers, each answered by one word.

The miniature world draws from here what its models are trained on, what its teachers are asked and what they are
judged by. A seed fixes a stream of tasks; a style turns a task into the text of a response.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

CONSONANTS, VOWELS, DIGITS = "bdfgklmnprstvz", "aeiou", "0123456789"


class Task(NamedTuple):
    kind: str
    instruction: str
    steps: str  # what a worked answer writes down before the answer
    answer: str  # one word without spaces


def word(rng: random.Random) -> str:
    """A pronounceable word of 3 or 4 letters."""
    letters = [rng.choice((CONSONANTS, VOWELS)[i % 2]) for i in range(4)]
    return "".join(letters[: rng.randint(3, 4)])


def spell(text: str) -> str:
    return " ".join(text)


def repeat(rng: random.Random) -> Task:
    w = word(rng)
    return Task("repeat", f"Repeat {w}", f"{w} + {w}", w + w)


def last_letter(rng: random.Random) -> Task:
    w = word(rng)
    return Task("last_letter", f"Last letter of {w}", spell(w), w[-1])


def count(rng: random.Random) -> Task:
    w = word(rng)
    numbered = "".join(f"{letter}{i}" for i, letter in enumerate(w, 1))
    return Task("count", f"Count letters in {w}", numbered, str(len(w)))


def upper(rng: random.Random) -> Task:
    w = word(rng)
    return Task("upper", f"Capitals of {w}", spell(w), w.upper())


def compare(rng: random.Random) -> Task:
    a, b = rng.sample(range(10, 100), 2)
    return Task("compare", f"Larger of {a} and {b}", f"{max(a, b)} > {min(a, b)}", str(max(a, b)))


def reverse(rng: random.Random) -> Task:
    w = word(rng)
    return Task("reverse", f"Reverse {w}", f"{spell(w)} > {spell(w[::-1])}", w[::-1])


def sort_letters(rng: random.Random) -> Task:
    w = word(rng)
    return Task("sort", f"Sort letters of {w}", spell(sorted(w)), "".join(sorted(w)))


def add(rng: random.Random) -> Task:
    a, b = rng.randint(10, 49), rng.randint(1, 9)
    return Task("add", f"Add {a} and {b}", f"{a % 10} + {b} = {a % 10 + b}", str(a + b))


TASKS = (repeat, last_letter, count, upper, compare, reverse, sort_letters, add)

STYLES = {
    "terse": lambda task: task.answer,
    "plain": lambda task: f"It is {task.answer}.",
    "worked": lambda task: f"{task.steps} gives {task.answer}.",
}


def draw_tasks(seed: str) -> Iterator[Task]:
    """An endless stream of tasks, the same for the same seed; an instruction may come twice."""
    rng = random.Random(seed)
    while True:
        yield rng.choice(TASKS)(rng)
