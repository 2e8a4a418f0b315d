"""The row store: results of a stage that computes one result per row, kept in small files next to the outputs.

A job that was killed recomputes only missing rows, and a larger sample adds rows. The declared output is assembled from
the store at the end.
"""

import fcntl
import hashlib
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import polars as pl
from tqdm import tqdm

from scripts.tables.digests import digest
from scripts.tables.text_files import exit_if_unwritable, write_text

Compute = Callable[[list[dict]], list[dict | Exception]]


class NotAsked(Exception):
    """Why a row was not computed in this run, if the cause has nothing to do with the row."""


class SetAside(Exception):
    """Why a row has no value in this run, and the result that takes its place in the table.

    It is not stored: a job that runs again computes the row again.
    """

    def __init__(self, why: str, result: dict):
        super().__init__(why)
        self.result = result


class RowsFailed(SystemExit):
    """Ends a job because some rows have no result; what the others gave is stored."""


class RowStore:
    """Results, with a digest of the row as key. There is one folder per spec and version, and one writer per folder.

    A shard is a parquet file whose name is the SHA-256 of its bytes, written to a temporary file and renamed. A shard
    whose bytes do not match its name (truncated, or with a changed bit) is dropped, and its rows are computed again.

    `spec` is everything that decides a row's result besides the row itself; `version` is the VERSION of the module that
    computes it. Exits naming the owner's host and process if another job is writing to the same folder.
    """

    def __init__(self, folder: Path, spec: dict, version: int):
        self.key = digest({"spec": spec, "version": version})[:24]
        self.folder = folder / self.key
        with exit_if_unwritable(self.folder / "lock", 0):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock = open(self.folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115 (open until the process ends)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            raise SystemExit(f"{self.folder}: another job is writing here: {self.lock.read().strip()}") from None
        self.lock.truncate(0)
        with exit_if_unwritable(self.folder / "shard.tmp", 0):
            print(f"host {socket.gethostname()}, process {os.getpid()}", file=self.lock, flush=True)
        self.done = self._read_shards()
        self.last = self.folder / "last.json"  # keys of rows that failed: they are computed after all others
        self.failed = set(json.loads(self.last.read_text(encoding="utf-8"))) if self.last.exists() else set()

    def fill(self, rows: Sequence[dict], load: Callable[[], Compute], block: int) -> list[dict]:
        """One result per row, in the order of the rows: from the store, or from the function that `load` returns.

        `load` is called once, and only if a row is missing. The function is called with the missing rows of one block
        after another (rows 0..block-1, ...), and a block is stored at once: a job that was killed computes the same
        batches again, with the same bytes. A row whose result is an exception is not stored, and the next run computes
        it after all others. After the last block, exits with the number of failed rows and the causes; rows that are
        only SetAside do not fail.
        """
        keys = [digest(row) for row in rows]
        compute, exceptions = None, {}
        stored = sum(key in self.done for key in keys)
        print(f"{stored} of {len(keys)} rows found in {self.folder}", flush=True)
        try:
            with tqdm(total=len(keys), initial=stored, unit="row", mininterval=2, file=sys.stdout) as progress:
                for missing in self._blocks(keys, block):
                    compute = compute or load()
                    results = compute([rows[i] for i in missing])
                    exceptions |= self._write_shard([keys[i] for i in missing], results)
                    progress.update(len(missing))
        finally:
            self._note_failed(exceptions)
        aside = {key: error for key, error in exceptions.items() if isinstance(error, SetAside)}
        if failed := [error for key, error in exceptions.items() if key not in aside]:
            raise RowsFailed(
                f"{len(failed)} of {len(keys)} rows failed; the next run repeats only these: {causes(failed)}"
            )
        if aside:
            print(f"{len(aside)} of {len(keys)} rows set aside, and not stored: {causes(aside.values())}", flush=True)
        return [aside[key].result if key in aside else self.done[key] for key in keys]

    def forget(self, outdated: Callable[[dict], bool]) -> None:
        """Leave out stored results, so that their rows are computed again."""
        self.done = {key: result for key, result in self.done.items() if not outdated(result)}

    def _blocks(self, keys: list[str], block: int) -> Iterator[list[int]]:
        """The numbers of the rows without a result, block by block; those that failed in an earlier run come last."""
        later = [key in self.failed for key in keys]
        order = sorted(range(len(keys)), key=lambda i: (later[i], i))
        for _, numbers in groupby(order, key=lambda i: (later[i], i // block)):
            if missing := [i for i in numbers if keys[i] not in self.done]:
                yield missing

    def _note_failed(self, exceptions: dict[str, Exception]) -> None:
        """Note which rows failed, for the order of the next run; a row that was not asked did not fail."""
        failed = {key for key, error in exceptions.items() if not isinstance(error, NotAsked)}
        failed = (self.failed | failed) - set(self.done)
        if failed != self.failed:
            self.failed = failed
            write_text(json.dumps(sorted(failed)), self.last)

    def _read_shards(self) -> dict[str, dict]:
        done, dropped = {}, 0
        for shard in sorted(self.folder.glob("*.parquet")):
            if hashlib.sha256(shard.read_bytes()).hexdigest() != shard.stem:
                shard.unlink()
                dropped += 1
                continue
            for row in pl.read_parquet(shard).iter_rows(named=True):
                key = row.pop("key")
                if len(row) > len(done.get(key, ())):  # of two results of a row, the later one says more: see forget
                    done[key] = row
        if dropped:
            print(f"damaged shards dropped from {self.folder}: {dropped}; their rows are computed again", flush=True)
        return done

    def _write_shard(self, keys: list[str], results: list[dict | Exception]) -> dict[str, Exception]:
        """Store the results that are not exceptions, and return the exceptions by key."""
        if len(results) != len(keys):
            raise RuntimeError(f"rows in: {len(keys)}, rows out: {len(results)}")
        good = {key: row for key, row in zip(keys, results, strict=True) if not isinstance(row, Exception)}
        exceptions = {key: row for key, row in zip(keys, results, strict=True) if isinstance(row, Exception)}
        if not good:
            return exceptions
        frame = pl.DataFrame([{"key": key, **row} for key, row in good.items()], infer_schema_length=None)
        temporary = self.folder / "shard.tmp"
        with exit_if_unwritable(temporary, frame.estimated_size()):
            frame.write_parquet(temporary)
        os.replace(temporary, self.folder / f"{hashlib.sha256(temporary.read_bytes()).hexdigest()}.parquet")
        self.done |= good
        return exceptions


def causes(errors) -> str:
    """The five most frequent causes, each with the number of its rows."""
    return "; ".join(f"{n} x {cause}" for cause, n in Counter(map(str, errors)).most_common(5))
