"""The row store loses nothing, computes nothing twice and reuses nothing damaged; tables are checked when written."""

import polars as pl
import pytest

from scripts.tables.files import check_rows, write_table
from scripts.tables.row_store import NotAsked, RowStore, SetAside

ROWS = [{"id": f"{i:02}", "text": "x" * i} for i in range(20)]


class Worker:
    """Computes the length of each text and records the ids of its rows."""

    def __init__(self, fails_at: int | None = None):
        self.computed, self.fails_at = [], fails_at

    def __call__(self, rows):
        if self.fails_at is not None and any(int(row["id"]) == self.fails_at for row in rows):
            raise KeyboardInterrupt
        self.computed += [row["id"] for row in rows]
        return [{"length": len(row["text"]), "reason": None} for row in rows]


def fill(folder, worker, rows=ROWS, spec=None, version=1):
    store = RowStore(folder, spec or {"model": "a"}, version)
    try:
        return [row["length"] for row in store.fill(rows, lambda: worker, block=8)]
    finally:
        store.lock.close()


def test_a_rerun_after_an_interruption_computes_only_missing_rows(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, Worker(fails_at=17))
    worker = Worker()
    assert fill(tmp_path, worker) == list(range(20))
    assert worker.computed == ["16", "17", "18", "19"]
    assert fill(tmp_path, worker := Worker()) == list(range(20)) and worker.computed == []


def test_a_larger_sample_computes_only_the_new_rows(tmp_path):
    fill(tmp_path, Worker(), ROWS[:13])
    worker = Worker()
    assert fill(tmp_path, worker) == list(range(20))
    assert worker.computed == [row["id"] for row in ROWS[13:]]


def test_a_changed_spec_version_or_row_shares_nothing(tmp_path):
    fill(tmp_path, Worker())
    for change in ({"spec": {"model": "b"}}, {"version": 2}):
        fill(tmp_path, worker := Worker(), **change)
        assert len(worker.computed) == 20
    changed = [*ROWS[:19], {"id": "19", "text": "another"}]
    assert fill(tmp_path, worker := Worker(), changed)[-1] == 7 and worker.computed == ["19"]


def test_rows_that_failed_come_last_in_the_next_run_and_rows_that_were_not_asked_keep_their_place(tmp_path):
    class Partial(Worker):
        def __call__(self, rows):
            results = super().__call__(rows)
            errors = {"01": ValueError("odd"), "09": SetAside("long", {"length": None}), "12": NotAsked("closed")}
            return [errors.get(row["id"], result) for row, result in zip(rows, results, strict=True)]

    with pytest.raises(SystemExit, match="2 of 20 rows failed; the next run repeats only these: 1 x odd; 1 x closed"):
        fill(tmp_path, Partial())
    more = [*ROWS, {"id": "20", "text": ""}]
    assert fill(tmp_path, worker := Worker(), more) == [*range(20), 0]
    assert worker.computed == ["12", "20", "01", "09"]
    assert fill(tmp_path, worker := Worker(), more) == [*range(20), 0] and worker.computed == []


def test_a_row_that_is_set_aside_has_its_result_in_the_table_and_is_computed_again(tmp_path, capsys):
    class Aside(Worker):
        def __call__(self, rows):
            good = super().__call__(rows)
            aside = SetAside("too long", {"length": -1})
            return [aside if row["id"] == "05" else result for row, result in zip(rows, good, strict=True)]

    for _ in range(2):
        assert fill(tmp_path, worker := Aside()) == [*range(5), -1, *range(6, 20)] and "05" in worker.computed
        assert "1 of 20 rows set aside, and not stored: 1 x too long" in capsys.readouterr().out
    assert fill(tmp_path, worker := Worker()) == list(range(20)) and worker.computed == ["05"]


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:]]
)
def test_a_damaged_shard_is_dropped_and_computed_again(tmp_path, damage, capsys):
    fill(tmp_path, Worker())
    shard = sorted(tmp_path.glob("*/*.parquet"))[0]
    ids = {row for row in pl.read_parquet(shard)["length"]}
    shard.write_bytes(damage(shard.read_bytes()))
    worker = Worker()
    assert fill(tmp_path, worker) == list(range(20))
    assert {int(i) for i in worker.computed} == ids
    assert ": 1; their rows are computed again" in capsys.readouterr().out


@pytest.mark.fault(2)
def test_a_second_writer_is_refused_and_the_message_names_the_owner(tmp_path):
    owner = RowStore(tmp_path, {"model": "a"}, 1)
    with pytest.raises(SystemExit, match=r"another job is writing here: host .*, process"):
        RowStore(tmp_path, {"model": "a"}, 1)
    owner.lock.close()


def test_fewer_results_than_rows_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="rows in: 8, rows out: 7"):
        fill(tmp_path, lambda rows: [{"length": 0, "reason": None}] * (len(rows) - 1))


def test_a_table_needs_every_id_in_order_and_a_value_or_a_reason():
    frame = pl.DataFrame({"id": ["a", "b"], "v": [1, None], "reason": [None, "empty"]})
    check_rows(frame, ["a", "b"], value="v")
    with pytest.raises(ValueError, match=r"rows in: 3, rows out: 2; lost: \['c'\]"):
        check_rows(frame, ["a", "b", "c"], value="v")
    with pytest.raises(ValueError, match="in another order"):
        check_rows(frame, ["b", "a"], value="v")
    with pytest.raises(ValueError, match=r"rows with neither v nor a reason: 1, such as \['b'\]"):
        check_rows(frame.with_columns(reason=None), ["a", "b"], value="v")


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write_table(pl.DataFrame({"a": [1]}), path)
    monkeypatch.setattr(pl.DataFrame, "write_csv", lambda self, file: (file.write_text("a\n"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        write_table(pl.DataFrame({"a": [2]}), path)
    assert path.read_text() == "a\n1\n"
