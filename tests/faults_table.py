"""Thirty faults, their right outcomes, and a table of the tests that showed them, at the end of a run of pytest."""

FAULTS = {
    1: "kill -9 of a generation job: only missing rows are redone, to the same bytes",
    2: "kill -9 of Snakemake: its jobs die with it, and two never write one result",
    3: "a torn, empty or flipped shard of the row store: dropped, counted, redone",
    4: "the disk is full: path and bytes are named, nothing under the final name, resumes",
    5: "a truncated, empty or bit-flipped table: named before use, only it is rebuilt",
    6: "the same id twice in an input: an error that lists the ids",
    7: "a teacher misses rows: metrics on the common ids, n shown, an error beyond a limit",
    8: "bytes that are no UTF-8, BOM, U+2028, lone surrogates: told with line or reason",
    9: "finish_reason length: kept and flagged",
    10: "an empty response: a reason, never a reward or loss of 0",
    11: "a prompt beyond the context: that row alone is set aside",
    12: "prompt and response beyond the training length: cut or dropped, and counted",
    13: "a tokenizer without a chat template: an error that says what to name",
    14: "an unknown model: told before any job, with the nearest name",
    15: "a gated model without a token: named, the token never printed",
    16: "code of a model's own: off; the error names the model and the key",
    17: "429, 500, silence, reset: waited out; a failure is no answer and asked again",
    18: "a judge's garbage or refusal: null with a reason, an error beyond 2 %",
    19: "out of memory in scoring: half the batch, the same numbers",
    20: "a loss of NaN: that pair stops and is never exported, the tables show the gap",
    21: "a metric that is NaN or constant: n/a with its cause, never chosen",
    22: "an edit after a part was run: exactly the dependents are rebuilt",
    23: "two runs in one folder: the second is refused and told the owner, no lock is stale",
    24: "a metric's sign or definition drifts: golden values",
    25: "a secret in environment, traceback or table: in no artefact",
    26: "another order or batch size: the same metrics",
    27: "a judge is retired: told with what the endpoint has; old judgments stay",
    28: "a time limit or preemption: goes on from the last whole checkpoint",
    29: "a slow shared file system: waited for",
    30: "the hub is out of reach: not checked, and no error",
}


def numbers_of(items) -> dict[str, list[int]]:
    """Test to the faults it shows."""
    marked = {item.nodeid: [mark.args[0] for mark in item.iter_markers("fault")] for item in items}
    return {test: numbers for test, numbers in marked.items() if numbers}


def table(numbers: dict[str, list[int]], outcomes: dict[str, str]) -> list[str]:
    """A line per fault: its number, how its tests of this run ended, and what has to come out."""
    lines = []
    for number, fault in FAULTS.items():
        ended = [outcomes[test] for test, faults in numbers.items() if number in faults and test in outcomes]
        counts = [f"{ended.count(outcome)} {outcome}" for outcome in ("failed", "error", "passed", "skipped")]
        told = ", ".join(count for count in counts if not count.startswith("0 ")) or "not in this run"
        lines.append(f"{number:3}  {told:22}  {fault}")
    return lines
