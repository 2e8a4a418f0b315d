"""The columns that a configuration asks for, and their texts in a row."""

import json
from collections import Counter
from collections.abc import Iterable

from scripts.tables.json_values import DECODER, text_of
from scripts.tables.names import nearest
from scripts.tables.roles import role_of

MISSING = object()
TEXT_OF_MESSAGE = ("content", "value")
EXPECTED_ROLES = {"instruction": "user", "response": "assistant"}
SHOWN = 30  # names of columns in a message


class Column:
    """A value in a row: a list of steps, each a name in an object, a number in a list, or {key: value}.

    {key: value} is the first entry of a list whose key has this value. After all rows, `problem` knows whether a step
    was found in none of them.
    """

    def __init__(self, steps: str | list):
        self.steps = [steps] if isinstance(steps, str) else steps
        self.found = 0  # steps that were found in some row
        self.lacks: dict[int, object] = {}  # for a step, a value in which it was not found
        self.roles: Counter[str] = Counter()  # roles of the messages whose text it is

    def value(self, row: dict):
        """The value in a row; None if a step is not there."""
        value = row
        for i, step in enumerate(self.steps):
            if value is None:
                return None
            inner = inside(value, step)
            if inner is MISSING:
                self.lacks.setdefault(i, value)
                return None
            self.found = max(self.found, i + 1)
            if i and step in TEXT_OF_MESSAGE and isinstance(value, dict) and (role := role_of(value)):
                self.roles[role] += 1
            value = inner
        return value

    def problem(self) -> str | None:
        """What no row has, in one line; None if the column was found in a row, or is null in all of them."""
        if self.found not in self.lacks:
            return None
        value, step = self.lacks[self.found], self.steps[self.found]
        near = mistaken(step, value) if isinstance(value, dict) else ""
        step = json.dumps(step, ensure_ascii=False) if isinstance(step, dict) else step
        where = " > ".join(map(str, self.steps[: self.found]))
        return f"no {step}{near} in column {where}, which is {in_words(value)}"


def inside(value, step: str | int | dict):
    """The value behind one step, or MISSING. A text is read as JSON if it is some: tables often hold lists as text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = DECODER.decode(value)
        except json.JSONDecodeError:
            return MISSING
    if isinstance(step, str):
        return value.get(step, MISSING) if isinstance(value, dict) else MISSING
    if not isinstance(value, list):
        return MISSING
    if isinstance(step, int):
        return value[step] if -len(value) <= step < len(value) else MISSING
    wanted = {key: text_of(choice) for key, choice in step.items()}
    fits = (v for v in value if isinstance(v, dict) and all(text_of(v.get(k)) == w for k, w in wanted.items()))
    return next(fits, MISSING)


def in_words(value) -> str:
    """A value in which a step was not found, in words."""
    match value:
        case dict():
            return f"an object with {names(value)}"
        case list():
            return f"a list of {len(value)}: {text_of(value)[:80]}"
    return f"not an object or a list: {text_of(value)[:80]}"


class Asked:
    """The asked columns under the workflow's names, and `match`: columns with the value that a row must have.

    A column is a name, a list of steps (see Column) or {"join": columns}: texts joined by a blank line.
    """

    def __init__(self, columns: dict, match: dict):
        self.columns = {name: [Column(part) for part in parts(column)] for name, column in columns.items()}
        self.match = {name: text_of(value) for name, value in match.items()}
        every = [column for group in self.columns.values() for column in group]
        self.paths = [column.steps for column in every] + [[name] for name in match]
        self.needed = list(dict.fromkeys(steps[0] for steps in self.paths))
        self.seen: dict[str, None] = {}  # names of all columns
        self.other: dict[str, None] = {}  # values of rows that do not match, a few

    def matches(self, row: dict) -> bool:
        return all(self.matches_value(row.get(name), wanted) for name, wanted in self.match.items())

    def matches_value(self, value, wanted: str) -> bool:
        if (text := text_of(value)) == wanted:
            return True
        if len(self.other) < 5:
            self.other[str(text)[:40]] = None
        return False

    def wanted(self) -> str:
        """What `match` asks for, and some of the values that there are instead."""
        wanted = ", ".join(f"{name} = {value}" for name, value in self.match.items())
        return f"{wanted}; others have {', '.join(self.other)}" if self.other else wanted

    def texts(self, row: dict) -> list[str | None]:
        """A text or None for each asked column."""
        return [
            text_of(group[0].value(row)) if len(group) == 1 else joined(text_of(column.value(row)) for column in group)
            for group in self.columns.values()
        ]

    def refuse_missing(self, where: str, columns: Iterable[str] = ()) -> None:
        """Exit naming the asked columns that a table lacks. columns: its names, if rows are not asked for them."""
        self.seen |= dict.fromkeys(columns)
        missing = [name for name in self.needed if name not in self.seen]
        if missing and self.seen:
            wrong = ", ".join(f"{name}{mistaken(name, self.seen)}" for name in missing)
            raise SystemExit(f"{where}: no column {wrong}; it has {names(self.seen)}")

    def refuse_unfound(self, where: str) -> None:
        """Exit naming a path that leads to a value in no row; to be called after all rows were read."""
        problems = [problem for group in self.columns.values() for column in group if (problem := column.problem())]
        if problems:
            raise SystemExit(f"{where}: {'; '.join(problems)}")

    def refuse_other_roles(self, where: str) -> None:
        """Exit naming an instruction that is not a user's message, or a response that is not the assistant's."""
        for name, role in EXPECTED_ROLES.items():
            roles = sum((column.roles for column in self.columns.get(name, ())), Counter())
            if others := {other: n for other, n in roles.items() if other != role}:
                found = ", ".join(f"{other} in {n} rows" for other, n in others.items())
                raise SystemExit(
                    f"{where}: {name} is a message of the role {found}: name the whole list of messages under "
                    "`messages`, which is read by role"
                )


def parts(column: str | list | dict) -> list:
    return column["join"] if isinstance(column, dict) else [column]


def joined(texts: Iterable[str | None]) -> str | None:
    """Texts joined by a blank line, empty ones left out; None if all are empty."""
    return "\n\n".join(text for text in texts if text and text.strip()) or None


def names(columns) -> str:
    shown = [str(name) or '""' for name in list(columns)[:SHOWN]]
    return ", ".join(shown) + (f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else "")


def mistaken(name, known) -> str:
    """(did you mean ...?) if a known name is similar."""
    near = nearest(name, known)
    return near if "did you mean" in near else ""
