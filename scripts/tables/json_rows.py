"""Rows of JSON files: a row per line, a list of rows, or an object with a list of rows such as {"data": [...]}."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from scripts.tables.columns import Asked
from scripts.tables.json_values import DECODER
from scripts.tables.source_files import decoded_lines, not_utf8, open_bytes

PIECE = 2**20  # bytes that are read at a time, if the rows are not lines
SPACE = re.compile(r"[ \t\n\r]*")


def json_rows(path: str, asked: Asked) -> Iterator[dict]:
    """The rows of a file, one after another. Exits naming file and line of what is not JSON, not UTF-8 or not a row."""
    with open_bytes(path) as file:
        start = file.readline(PIECE)
        rest = chain([start], file)
        if is_row(start) and file.peek(1):
            yield from line_rows(path, rest, asked)
        else:
            yield from document_rows(Document(path, start, file), asked)


def is_row(line: bytes) -> bool:
    try:
        return isinstance(DECODER.decode(line.decode()), dict)
    except ValueError:
        return False


def line_rows(path: str, lines: Iterable[bytes], asked: Asked) -> Iterator[dict]:
    for number, line in enumerate(decoded_lines(lines, path), 1):
        try:
            row = DECODER.decode(line)
        except json.JSONDecodeError as error:
            if not line.strip():
                continue
            raise not_json(path, number, f"{error.msg}, character {error.pos + 1}") from None
        yield checked(row, asked, f"{path}, line {number}")


def checked(row, asked: Asked, where: str) -> dict:
    if not isinstance(row, dict):
        raise SystemExit(f"{where}: a row is an object with columns, and this is {str(row)[:60]}")
    if not row.keys() <= asked.seen.keys():
        asked.seen |= dict.fromkeys(row)
    return row


def not_json(path: str, line: int, problem: str) -> SystemExit:
    return SystemExit(f"{path}, line {line}: not JSON ({problem}): correct the line, or delete it if the file was cut")


class Document:
    """A JSON text that is read piece by piece; `peek`, `take` and `value` go on from where the last one ended."""

    def __init__(self, path: str, start: bytes, file):
        self.path, self.file, self.line = path, file, 1
        self.decode = codecs.getincrementaldecoder("utf-8")().decode
        self.text, self.at = self.decoded(start), 0

    def decoded(self, piece: bytes) -> str:
        try:
            return self.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            raise not_utf8(self.path, self.line + error.object.count(b"\n", 0, error.start), error) from None

    def more(self) -> bool:
        """Whether there was another piece of the file; what has been passed over is forgotten."""
        self.line += self.text.count("\n", 0, self.at)
        self.text, self.at = self.text[self.at :], 0
        before = self.line
        self.line += self.text.count("\n")  # of the next piece, should it not be UTF-8
        piece = self.file.read(max(PIECE, len(self.text)))
        self.text += self.decoded(piece)
        self.line = before
        return bool(piece)

    def fail(self, problem: str, at: int):
        raise not_json(self.path, self.line + self.text.count("\n", 0, at), problem)

    def peek(self) -> str:
        """The next character that is no white space; "" at the end of the file."""
        while True:
            self.at = SPACE.match(self.text, self.at).end()
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def take(self, character: str) -> None:
        if self.peek() != character:
            self.fail(f"{character} is expected, and this is {self.text[self.at : self.at + 20]!r}", self.at)
        self.at += 1

    def value(self):
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self.text) - 10
                if not (cut and self.more()):
                    self.fail(error.msg, error.pos)
                continue
            if end < len(self.text) or not self.more():  # a number may go on in the next piece
                self.at = end
                return value

    def separated(self, end: str) -> Iterator[None]:
        """Yields at the start of each item of a list or an object, up to and with its last character `end`."""
        if self.peek() != end:
            yield
            while self.peek() != end:
                self.take(",")
                yield
        self.take(end)


def document_rows(document: Document, asked: Asked) -> Iterator[dict]:
    rows = rows_in_list(document) if document.peek() == "[" else rows_in_objects(document, asked)
    for number, row in enumerate(rows, 1):
        yield checked(row, asked, f"{document.path}, row {number}")
    if document.peek():
        document.fail("more follows after its end", document.at)


def rows_in_list(document: Document) -> Iterator:
    document.take("[")
    for _ in document.separated("]"):
        yield document.value()


def rows_in_objects(document: Document, asked: Asked) -> Iterator:
    """Objects one after another: each is a row, or has the rows in a list of objects that is not an asked column."""
    while document.peek():
        row, lists = {}, []
        document.take("{")
        for _ in document.separated("}"):
            key = document.value()
            document.take(":")
            if document.peek() != "[" or {key, *row} & set(asked.needed):
                row[key] = document.value()
                continue
            document.take("[")
            if document.peek() == "{":
                lists.append(key)
            row[key] = []
            for _ in document.separated("]"):
                if key in lists[:1]:
                    yield document.value()
                else:
                    row[key].append(document.value())
        if len(lists) > 1:
            raise SystemExit(
                f"{document.path}: rows are in several lists ({', '.join(lists)}): write each to a file of its own"
            )
        if not lists:
            yield row
