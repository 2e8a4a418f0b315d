"""Rows that an endpoint answers through its Batch API: at half the price, within a day.

The requests of all rows are uploaded as files of JSON lines, each with at most LARGEST requests and MOST_BYTES. A note
beside the stored rows has the rows of a batch: a job that was killed waits for the same batch, or looks for it by the
key of the note, and pays nothing twice. A line of the output is read as if it were the reply to the same request, sent
directly. A row without an answer fails, and the next run asks it in a new batch.

https://developers.openai.com/api/docs/guides/batch
"""

import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from openai import OpenAIError

from scripts.engines.batch_notes import new_note, read_notes, write_note
from scripts.engines.batch_replies import created, ended, is_final, why_failed
from scripts.engines.endpoint import CONTROL, Endpoint, Replay
from scripts.engines.error_texts import cause_of, in_one_line
from scripts.engines.ledger import spent
from scripts.engines.refusals import Refused, without_answer
from scripts.tables.digests import digest
from scripts.tables.row_store import SetAside

LARGEST, MOST_BYTES = 50_000, 200_000_000  # limits of OpenAI for one batch
PATH = "/v1/chat/completions"


class Batches:
    """spec: see load in engine_openai.py. folder: that of the stored rows."""

    def __init__(self, spec: dict, folder: Path):
        self.api, self.folder, self.replay = spec["api"], folder, Replay()
        self.direct, self.endpoint = Endpoint(spec), Endpoint(spec, self.replay)
        self.client = self.direct.client

    def ask(self, rows: list[dict]) -> list[dict | Exception]:
        """The result of each row; an exception if it was not sent, or has no answer when its batch has ended."""
        asked = {id_of(row): row for row in rows}
        notes = self.notes(set(asked))
        sent = {name for note in notes for name in note["rows"]}
        new = {name: row for name, row in asked.items() if name not in sent}
        results = dict.fromkeys(new, self.endpoint.over_budget())
        for part in parts((name, self.line(name, new[name])) for name in self.affordable(new)):
            note = self.submit(part, sum(self.endpoint.max_cost(new[name]) for name in part))
            if isinstance(note, Exception):
                results |= dict.fromkeys(part, note)
            else:
                notes.append(note)
        for note, lines, batch in ended(self.client, notes, self.api["poll_s"]):
            results |= self.results_of(note, lines, batch, asked)
        return [results[id_of(row)] for row in rows]

    def notes(self, rows: set[str]) -> list[dict]:
        """The notes of batches with these rows."""
        notes = read_notes(self.folder, rows, self.endpoint.url)
        for note in notes:
            if not note["batch"]:
                note["batch"] = self.find(note)
                write_note(note, self.folder) if note["batch"] else self.release(note | {"rows": []})
                print(f"batch of the last run: {note['batch'] or 'it was not created'}", flush=True)
        return [note for note in notes if note["batch"]]

    def find(self, note: dict) -> str | None:
        """The id of the batch of a note without id; None if it was not created."""
        try:
            return created(self.client, note)
        except OpenAIError as error:
            line = in_one_line(error, self.endpoint.key)
            raise SystemExit(f"{note['base_url']}: was a batch of the last run created? {line}: run again") from None

    def release(self, note: dict) -> None:
        """Give back what was reserved for a batch."""
        self.endpoint.book(-note["reserved_usd"])
        write_note(note | {"reserved_usd": 0}, self.folder)

    def affordable(self, rows: dict[str, dict]) -> list[str]:
        """The first rows whose highest cost is within the budget."""
        budget = self.api["budget_usd"]
        left = float("inf") if budget is None else budget - spent(Path(self.api["ledger"]))
        costs = accumulate(self.endpoint.max_cost(row) for row in rows.values())
        return [name for name, usd in zip(rows, costs, strict=True) if usd <= left or not usd]

    def line(self, name: str, row: dict) -> bytes:
        body = self.endpoint.body(row)
        body |= body.pop("extra_body")
        return json.dumps({"custom_id": name, "method": "POST", "url": PATH, "body": body}).encode() + b"\n"

    def submit(self, part: dict[str, bytes], usd: float) -> dict | Exception:
        """Upload the lines and create a batch within the budget: its note, or why there is none."""
        if not self.endpoint.book(usd, self.api["budget_usd"]):
            return self.endpoint.over_budget()
        note = new_note(self.endpoint.url, list(part), usd)
        write_note(note, self.folder)
        try:
            file = self.client.files.create(file=(f"{note['key']}.jsonl", b"".join(part.values())), purpose="batch")
            once = self.client.with_options(max_retries=0)  # a second try could create a second batch
            batch = once.batches.create(
                input_file_id=file.id, endpoint=PATH, completion_window="24h", metadata={"key": note["key"]}
            )
        except OpenAIError as error:
            if is_final(error):
                self.release(note | {"rows": []})
            advice = "; without a Batch API, remove openai.batch" * (getattr(error, "status_code", 0) in (404, 405))
            return RuntimeError(f"no batch was created: {in_one_line(error, self.endpoint.key)}{advice}")
        note["batch"] = batch.id
        write_note(note, self.folder)
        print(f"batch {batch.id}: {len(part)} rows sent", flush=True)
        return note

    def results_of(self, note: dict, lines: dict, batch, asked: dict[str, dict]) -> dict[str, dict | Exception]:
        """The results of the asked rows of a batch. The note keeps the rows that have one, until they are stored."""
        missing = RuntimeError(f"batch {note['batch']} {self.why_missing(batch)}")
        names = [name for name in note["rows"] if name in asked]
        results = {name: self.result_of(lines[name], asked[name]) if name in lines else missing for name in names}
        failed = {name for name, result in results.items() if isinstance(result, Exception)}
        if not isinstance(batch, OpenAIError) or is_gone(batch):
            self.release(note | {"rows": [name for name in note["rows"] if name not in failed]})
        refused = any(isinstance(result, (Refused, SetAside)) for result in results.values())
        others = len(failed) < len(names) or (refused and isinstance(self.direct.request(CONTROL), dict))
        return {name: without_answer(result, self.api, others) for name, result in results.items()}

    def why_missing(self, batch) -> str:
        """Why a row has no line."""
        if isinstance(batch, OpenAIError):
            return in_one_line(batch, self.endpoint.key)
        if batch.status == "failed":
            return f"was not accepted: {why_failed(batch)}"
        return f"is {batch.status} and has no answer to this row"

    def result_of(self, line: dict, row: dict) -> dict | Exception:
        if not line.get("response"):
            return RuntimeError(f"no answer in the batch: {cause_of(line.get('error'))}")
        self.replay.status, self.replay.body = line["response"]["status_code"], line["response"]["body"]
        return self.endpoint.request(row)


def id_of(row: dict) -> str:
    return digest(row)[:32]


def is_gone(error: OpenAIError) -> bool:
    """Whether a batch, or its file, does not exist any more."""
    return getattr(error, "status_code", None) == 404


def parts(lines: Iterator[tuple[str, bytes]]) -> Iterator[dict[str, bytes]]:
    """The lines of each batch, by the id of the row."""
    part, size = {}, 0
    for name, line in lines:
        if part and (len(part) == LARGEST or size + len(line) > MOST_BYTES):
            yield part
            part, size = {}, 0
        part[name], size = line, size + len(line)
    if part:
        yield part
