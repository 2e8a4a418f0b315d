"""Batches at an endpoint: whether one was created, when they have ended, and the lines of their files."""

import json
import time
from collections.abc import Iterator
from io import BytesIO

from openai import APIStatusError, OpenAI, OpenAIError
from openai.types import Batch

from scripts.engines.error_texts import in_one_line, without_frames

ENDED = ("completed", "failed", "expired", "cancelled")
PATIENCE = 10  # times in a row that no batch can be looked at; the client has repeated each request


def created(client: OpenAI, note: dict) -> str | None:
    """The id of the batch of a note, if it was created before the job was killed. Raises OpenAIError."""
    for batch in client.batches.list(limit=100):  # the newest first
        if (batch.metadata or {}).get("key") == note["key"]:
            return batch.id
        if batch.created_at < note["time"] - 3600:  # clocks differ
            return None
    return None


def ended(client: OpenAI, notes: list[dict], poll_s: float) -> Iterator[tuple[dict, dict, Batch | OpenAIError]]:
    """Each note when its batch has ended: with the lines of its files by row and the batch, or with why there are none.

    An endpoint that cannot be reached is asked again; a line is printed if the state of a batch has changed.
    """
    waiting, states, failures = list(notes), {}, 0
    while waiting:
        for note in list(waiting):
            try:
                batch = client.batches.retrieve(note["batch"])
                lines = lines_of(client, batch) if batch.status in ENDED else None
            except OpenAIError as error:
                failures += 1
                state, lines, batch = in_one_line(error, client.api_key), {}, without_frames(error)
                if not is_final(error) and failures < PATIENCE * len(waiting):
                    lines = None
            else:
                failures, state = 0, state_of(batch)
            if states.get(note["batch"]) != state:
                states[note["batch"]] = state
                print(f"batch {note['batch']}: {state}", flush=True)
            if lines is not None:
                waiting.remove(note)
                yield note, lines, batch
        if waiting:
            time.sleep(poll_s)


def is_final(error: OpenAIError) -> bool:
    """Whether an endpoint refused a request, so that a repetition cannot help."""
    return isinstance(error, APIStatusError) and error.status_code < 500 and error.status_code not in (408, 409, 429)


def state_of(batch: Batch) -> str:
    """The state of a batch in words."""
    counts = batch.request_counts
    numbers = f", {counts.completed} of {counts.total} rows answered, {counts.failed} failed" if counts else ""
    return f"{batch.status}{numbers}"


def why_failed(batch: Batch) -> str:
    """What an endpoint says about a batch that it did not accept."""
    errors = (batch.errors and batch.errors.data) or []
    return "; ".join(f"{error.code}: {error.message}" for error in errors[:3])


def lines_of(client: OpenAI, batch: Batch) -> dict[str, dict]:
    """The lines of the output and of the errors of a batch, by row. They are in any order. Raises OpenAIError."""
    lines = {}
    for name in filter(None, (batch.output_file_id, batch.error_file_id)):
        for text in BytesIO(client.files.content(name).content):
            try:
                line = json.loads(text)
                lines.setdefault(line["custom_id"], line)
            except (ValueError, KeyError, TypeError):  # a row whose line is cut has none
                continue
    return lines
