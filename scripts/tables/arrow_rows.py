"""Rows of parquet and Arrow files, of which only the asked columns are read."""

from collections.abc import Iterable, Iterator

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from scripts.tables.columns import Asked

BATCH = 1000  # rows in memory at a time


def parquet_rows(path: str, asked: Asked) -> Iterator[dict]:
    """The asked columns of each row, and of a column of structs only the asked field."""
    with pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        asked.refuse_missing(path, schema.names)
        columns = [".".join(steps_in(schema, steps)) for steps in asked.paths]
        for batch in file.iter_batches(BATCH, columns=columns):
            yield from rows_of_batch(batch, asked)


def arrow_rows(path: str, asked: Asked) -> Iterator[dict]:
    """The asked columns of each row of an Arrow file, or of a stream as `datasets` saves it."""
    with pyarrow.memory_map(path) as source:
        try:
            file = pyarrow.ipc.open_file(source)
            schema, batches = file.schema, map(file.get_batch, range(file.num_record_batches))
        except pyarrow.ArrowInvalid:
            source.seek(0)
            batches = pyarrow.ipc.open_stream(source)
            schema = batches.schema
        asked.refuse_missing(path, schema.names)
        for batch in batches:
            yield from rows_of_batch(batch.select(asked.needed), asked)


def rows_of_batch(batch: pyarrow.RecordBatch | pyarrow.Table, asked: Asked) -> Iterator[dict]:
    """Rows that match, as dicts; the others are left out before their texts are looked at."""
    for start in range(0, batch.num_rows, BATCH):
        part = batch.slice(start, BATCH)
        for name, wanted in asked.match.items():
            found = [asked.matches_value(value, wanted) for value in part.column(name).to_pylist()]
            part = part.filter(pyarrow.array(found, pyarrow.bool_()))
        yield from part.to_pylist()


def steps_in(schema: pyarrow.Schema, steps: Iterable) -> list[str]:
    """The first of the steps that lead through structs of the schema; a later one is inside the column."""
    name, *others = steps
    found, kind = [name], schema.field(name).type
    for step in others:
        if not pyarrow.types.is_struct(kind) or not isinstance(step, str) or kind.get_field_index(step) < 0:
            break
        found.append(step)
        kind = kind.field(step).type
    return found
