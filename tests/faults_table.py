"""Thirty faults with their correct outcomes, and the table of their tests at the end of a run of pytest."""

FAULTS = {
    1: "kill -9 of a generation job: only missing rows are computed again, with the same bytes",
    2: "kill -9 of Snakemake: its jobs end too, and two jobs never write one result",
    3: "a truncated, empty or bit-flipped shard of the row store: dropped, counted, computed again",
    4: "the disk is full: the error has path and bytes, no partial file, the run can be resumed",
    5: "a truncated, empty or bit-flipped table: an error before use, only this table is rebuilt",
    6: "a duplicate id in an input: an error that lists the ids",
    7: "a teacher lacks rows: metrics on the common ids, n is shown, an error above a limit",
    8: "invalid UTF-8, BOM, U+2028, lone surrogates: an error with the line, or a reason",
    9: "finish_reason length: kept and marked",
    10: "an empty response: a reason, never a reward or loss of 0",
    11: "a prompt longer than the context: only this row is set aside",
    12: "prompt and response longer than the training length: cut or dropped, and counted",
    13: "a tokenizer without a chat template: an error that says what to configure",
    14: "an unknown model: an error before any job, with the nearest name",
    15: "a gated model without a token: an error with its name, the token is never printed",
    16: "a model with its own code: not run; the error has the model and the key",
    17: "429, 500, timeout, reset: tried again; a failure is not stored as an answer",
    18: "a judge's invalid output or refusal: null with a reason, an error above 2 %",
    19: "out of memory in scoring: half the batch, the same numbers",
    20: "a loss of NaN: the pair stops and is not exported, its cells in the tables are empty",
    21: "a metric that is NaN or constant: n/a with the cause, never chosen",
    22: "an edit after a part of the study has run: exactly the dependent files are rebuilt",
    23: "two runs in one folder: the second is refused with the owner's name, no lock is left behind",
    24: "a metric's sign or definition changes: golden values",
    25: "a secret in the environment: in no traceback, table or other file",
    26: "another order or batch size: the same metrics",
    27: "a judge is retired: an error with the endpoint's models; old judgments are kept",
    28: "a time limit or preemption: resumes from the last complete checkpoint",
    29: "a slow shared file system: the run waits for the files",
    30: "the hub cannot be reached: 'not checked', no error",
}


def numbers_of(items) -> dict[str, list[int]]:
    """Test to the numbers of its faults."""
    marked = {item.nodeid: [mark.args[0] for mark in item.iter_markers("fault")] for item in items}
    return {test: numbers for test, numbers in marked.items() if numbers}


def table(numbers: dict[str, list[int]], outcomes: dict[str, str]) -> list[str]:
    """A line per fault: its number, the outcomes of its tests in this run, and the correct outcome."""
    lines = []
    for number, fault in FAULTS.items():
        found = [outcomes[test] for test, faults in numbers.items() if number in faults and test in outcomes]
        counts = [f"{found.count(outcome)} {outcome}" for outcome in ("failed", "error", "passed", "skipped")]
        summary = ", ".join(count for count in counts if not count.startswith("0 ")) or "not in this run"
        lines.append(f"{number:3}  {summary:22}  {fault}")
    return lines
