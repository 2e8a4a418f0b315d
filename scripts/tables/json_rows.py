"""Rows of JSON files: a row per line, a list of rows, or an object with a list of rows such as {"data": [...]}."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain

import jiter

from scripts.tables.columns import Asked
from scripts.tables.json_document import PIECE, Document, not_json
from scripts.tables.json_values import DECODER, text_of
from scripts.tables.source_files import not_utf8, open_bytes


def json_rows(path: str, asked: Asked) -> Iterator[dict]:
    """The rows of a file, one after another. Exits naming file and line of what is not JSON, not UTF-8 or not a row."""
    with open_bytes(path) as file:
        start = file.readline(PIECE)
        if is_row(start) and file.peek(1):
            yield from line_rows(path, chain([start], file), asked)
        else:
            yield from document_rows(Document(path, start, file), asked)


def is_row(line: bytes) -> bool:
    try:
        return isinstance(DECODER.decode(line.decode()), dict)
    except ValueError:
        return False


def line_rows(path: str, lines: Iterable[bytes], asked: Asked) -> Iterator[dict]:
    for number, line in enumerate(lines, 1):
        try:
            row = jiter.from_json(line, float_mode="lossless-float", cache_mode="keys")
        except ValueError:
            if not line.strip():
                continue
            row = unusual_row(path, number, line)
        yield checked(row, asked, path, number)


def unusual_row(path: str, number: int, line: bytes):
    """A row that only the slower decoder reads, such as one with half a surrogate pair; exits if it is not JSON."""
    try:
        return DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise not_utf8(path, number, error) from None
    except json.JSONDecodeError as error:
        raise not_json(path, number, f"{error.msg}, character {error.pos + 1}") from None


def checked(row, asked: Asked, path: str, number: int, place: str = "line") -> dict:
    if not isinstance(row, dict):
        found = text_of(row) or "null"
        raise SystemExit(f"{path}, {place} {number}: a row is an object with columns, and this is {found[:60]}")
    if not row.keys() <= asked.seen.keys():
        asked.seen |= dict.fromkeys(row)
    return row


def document_rows(document: Document, asked: Asked) -> Iterator[dict]:
    rows = rows_in_list(document) if document.peek() == "[" else rows_in_objects(document, asked)
    for number, row in enumerate(rows, 1):
        yield checked(row, asked, document.path, number, "row")
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
