"""A JSON text, read value by value, so that only a part of it is in memory."""

import codecs
import json
import re
from collections.abc import Iterator

from scripts.tables.json_values import DECODER
from scripts.tables.source_files import not_utf8

PIECE = 2**20  # bytes that are read at a time
SPACE = re.compile(r"[ \t\n\r]*")


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


def not_json(path: str, line: int, problem: str) -> SystemExit:
    return SystemExit(f"{path}, line {line}: not JSON ({problem}): correct the line, or delete it if the file was cut")
