"""Rows of CSV and TSV files. Every cell is a text, and every row has as many cells as the first line has names."""

import csv
from collections.abc import Iterator

from scripts.tables.columns import Asked
from scripts.tables.source_files import decoded_lines, format_of, open_bytes

DELIMITERS = {"csv": ",", "tsv": "\t"}
LONGEST = 2**31 - 1  # characters of a cell


def csv_rows(path: str, asked: Asked) -> Iterator[dict]:
    """The asked cells of each row. Exits naming file and line of a row with more or fewer cells, or a wrong quote."""
    csv.field_size_limit(LONGEST)
    with open_bytes(path) as file:
        rows = numbered_rows(csv.reader(decoded_lines(file, path), delimiter=DELIMITERS[format_of(path)], strict=True))
        try:
            _, header = next(rows, (0, []))
            asked.refuse_missing(path, header)
            if repeated := [name for name in asked.needed if header.count(name) > 1]:
                raise SystemExit(f"{path}: several columns are called {repeated[0]}: rename all but one")
            places = {name: header.index(name) for name in asked.needed if header}
            for line, cells in rows:
                if len(cells) != len(header):
                    raise SystemExit(
                        f"{path}, line {line}: {len(cells)} cells, and the first line has {len(header)} columns: "
                        'write a text that contains a comma, a tab or a line break in quotes ("...")'
                    )
                yield {name: cells[i] for name, i in places.items()}
        except csv.Error as error:
            raise SystemExit(
                f"{path}, line {error.line}: {error}: write a quote in a quoted text twice, and close every quote"
            ) from None


def numbered_rows(reader) -> Iterator[tuple[int, list[str]]]:
    """The line in which each row begins, and its cells; without empty lines. A csv.Error gets the attribute `line`."""
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        error.line = line
        raise
