"""The columns of responses and answers: one declaration, and no script drops a column without an error."""

import json

import polars as pl
import pytest

from scripts.engines import generation
from scripts.responses import generate_responses, import_responses, select_responses
from scripts.tables.schemas import ANSWERS, MIXED_RESPONSES, RESPONSES, conform


def frame(schema: dict, **columns) -> pl.DataFrame:
    return pl.DataFrame({name: None for name in schema}).with_columns(**columns)


@pytest.mark.parametrize("schema", [RESPONSES, MIXED_RESPONSES, ANSWERS])
def test_columns_get_the_order_and_the_dtypes_of_the_schema(schema):
    assert dict(conform(frame(reversed(schema), n_tokens=pl.lit(3)), schema).schema) == schema


@pytest.mark.parametrize("error", ["no column response", "unknown column extra"])
def test_a_missing_or_an_unknown_column_is_an_error_that_names_it(error):
    rows = frame(RESPONSES, extra=pl.lit(1)) if "extra" in error else frame(RESPONSES).drop("response")
    with pytest.raises(ValueError, match=error):
        conform(rows, RESPONSES)


def run(script, monkeypatch, **options):
    options = {name.replace("_", "-"): value for name, value in options.items()}
    monkeypatch.setattr("sys.argv", ["x", *(str(x) for name, value in options.items() for x in (f"--{name}", value))])
    script.main()


@pytest.fixture
def new_column(monkeypatch, tmp_path):
    """A folder with one instruction, while the schema has a further column `entropy`."""
    monkeypatch.setitem(RESPONSES, "entropy", pl.Float64)
    pl.DataFrame({"id": ["a"], "instruction": ["Hi"]}).write_parquet(tmp_path / "instructions.parquet")
    return tmp_path


def test_a_new_column_is_required_of_generation_and_kept_if_the_engine_provides_it(new_column, monkeypatch):
    result = {"text": "hello", "finish_reason": "stop", "n_tokens": 1, "reason": None, "entropy": 0.5}
    monkeypatch.setattr(generation, "asker", lambda *spec: lambda rows: [result] * len(rows))
    options = {"teacher": "t", "model": '{"model": "m"}', "sampling": '{"max_new_tokens": 1}', "candidates": 1}
    options |= {"store": new_column}
    options |= {"instructions": new_column / "instructions.parquet", "output": new_column / "responses.parquet"}
    with pytest.raises(ValueError, match="no column entropy"):
        run(generate_responses, monkeypatch, **options)
    monkeypatch.setitem(generation.RESULT_COLUMNS, "entropy", pl.Float64)
    run(generate_responses, monkeypatch, **options)
    assert pl.read_parquet(new_column / "responses.parquet")["entropy"].to_list() == [0.5]


def test_a_new_column_is_required_of_imports(new_column, monkeypatch):
    pl.DataFrame({"id": ["a"], "output": ["hello"]}).write_parquet(new_column / "table.parquet")
    columns = {"id": "id", "response": "output"}
    spec = json.dumps({"path": str(new_column / "table.parquet"), "columns": columns, "match": {}})
    options = {"instructions": new_column / "instructions.parquet", "output": new_column / "responses.parquet"}
    with pytest.raises(ValueError, match="no column entropy"):
        run(import_responses, monkeypatch, teacher="t", spec=spec, **options)


def test_a_new_column_of_a_pool_is_kept_by_a_selection(new_column, monkeypatch):
    texts = {name: pl.lit("a") for name in ("id", "response", "finish_reason", "teacher")}
    pool = conform(frame(RESPONSES, **texts, candidate=pl.lit(0), entropy=pl.lit(0.5)), RESPONSES)
    pool.write_parquet(new_column / "pool.parquet")
    paths = {"responses": new_column / "pool.parquet", "output": new_column / "responses.parquet"}
    run(select_responses, monkeypatch, teacher="t", select="random", seed=0, **paths)
    assert pl.read_parquet(new_column / "responses.parquet")["entropy"].to_list() == [0.5]
