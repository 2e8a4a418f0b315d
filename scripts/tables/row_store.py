"""The row store.

A stage that computes one result per row keeps its results here, in small files beside the outputs, so that a killed
job redoes only what is missing and a larger sample adds rows. The declared output is assembled from the store and
renamed into place last.
"""

import fcntl
import hashlib
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from tqdm import tqdm

from scripts.tables.digests import digest
from scripts.tables.files import room_for

Compute = Callable[[list[dict]], list[dict | Exception]]


class RowStore:
    """Results keyed by what they were computed from. One folder per spec, one writer per folder.

    A shard is a parquet file named by the SHA-256 of its bytes, written beside and renamed; one whose bytes do not
    match its name (torn, truncated, flipped) is dropped, counted and computed again.

    `spec` is all that decides a row's result beside the row, `version` the VERSION of the module that computes it.
    Exits naming the owner's host and process when another job writes to the same folder.
    """

    def __init__(self, folder: Path, spec: dict, version: int):
        self.folder = folder / digest({"spec": spec, "version": version})[:24]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115 (held for as long as the process lives)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            raise SystemExit(f"{self.folder}: another job is writing here: {self.lock.read().strip()}") from None
        self.lock.truncate(0)
        with room_for(self.folder / "shard.tmp", 0):
            print(f"host {socket.gethostname()}, process {os.getpid()}", file=self.lock, flush=True)
        self.done = self._read_shards()

    def fill(self, rows: Sequence[dict], load: Callable[[], Compute], block: int) -> list[dict]:
        """One result per row, in the order of the rows, from the store or else from `load()`'s function of rows.

        `load` is called once, and only if a row is missing; its function sees only rows without a stored result.
        They come in blocks of fixed membership (rows 0..block-1, ...), each stored whole, so that a rerun
        after a kill computes the same batches and gives the same bytes. A row whose result is an exception is not
        stored; after the last block, exits telling how many failed and of what.
        """
        keys = [digest(row) for row in rows]
        compute, failed = None, []
        found = sum(key in self.done for key in keys)
        print(f"{found} of {len(keys)} rows found in {self.folder}", flush=True)
        with tqdm(total=len(keys), initial=found, unit="row", mininterval=2, file=sys.stdout) as progress:
            for start in range(0, len(keys), block):
                missing = [i for i in range(start, min(start + block, len(keys))) if keys[i] not in self.done]
                if missing:
                    compute = compute or load()
                    results = compute([rows[i] for i in missing])
                    failed += self._write_shard([keys[i] for i in missing], results)
                    progress.update(len(missing))
        if failed:
            causes = "; ".join(f"{n} x {cause}" for cause, n in Counter(map(str, failed)).most_common(5))
            raise SystemExit(f"{len(failed)} of {len(keys)} rows failed; the next run asks only them again: {causes}")
        return [self.done[key] for key in keys]

    def _read_shards(self) -> dict[str, dict]:
        done, dropped = {}, 0
        for shard in sorted(self.folder.glob("*.parquet")):
            if hashlib.sha256(shard.read_bytes()).hexdigest() != shard.stem:
                shard.unlink()
                dropped += 1
                continue
            for row in pl.read_parquet(shard).iter_rows(named=True):
                done[row.pop("key")] = row
        if dropped:
            print(f"{dropped} damaged shards dropped from {self.folder}; their rows are computed again", flush=True)
        return done

    def _write_shard(self, keys: list[str], results: list[dict | Exception]) -> list[Exception]:
        """Store what there is; the exceptions are given back."""
        if len(results) != len(keys):
            raise RuntimeError(f"{len(keys)} rows went in and {len(results)} came out")
        good = {key: row for key, row in zip(keys, results, strict=True) if not isinstance(row, Exception)}
        failed = [row for row in results if isinstance(row, Exception)]
        if not good:
            return failed
        frame = pl.DataFrame([{"key": key, **row} for key, row in good.items()], infer_schema_length=None)
        unnamed = self.folder / "shard.tmp"
        with room_for(unnamed, frame.estimated_size()):
            frame.write_parquet(unnamed)
        os.replace(unnamed, self.folder / f"{hashlib.sha256(unnamed.read_bytes()).hexdigest()}.parquet")
        self.done |= good
        return failed
