"""Thirty faults, their correct outcomes, and a table of the results of their tests, printed after a run of pytest."""

FAULTS = {
    1: "kill -9 of a generation job: only missing rows are computed again, to the same bytes",
    2: "kill -9 of Snakemake: its jobs end with it, and no two jobs write the same result",
    3: "a truncated, empty or bit-flipped shard of the row store: dropped, counted, computed again",
    4: "the disk is full: the error names path and size, no incomplete file, the next run resumes",
    5: "a truncated, empty or bit-flipped table: detected before use, only it is rebuilt",
    6: "the same id twice in an input: an error that lists the ids",
    7: "a teacher lacks rows: metrics on the common ids, n is shown, an error beyond a limit",
    8: "invalid UTF-8, BOM, U+2028, lone surrogates: an error or reason with the line",
    9: "finish_reason length: kept and flagged",
    10: "an empty response: a reason, never a reward or loss of 0",
    11: "a prompt longer than the context: only that row is set aside",
    12: "prompt and response longer than the training length: truncated or dropped, and counted",
    13: "a tokenizer without a chat template: an error that says what to configure",
    14: "an unknown model: an error before any job, with the nearest name",
    15: "a gated model without a token: the error names it, the token is never printed",
    16: "a model's own code: disabled; the error names the model and the key",
    17: "429, 500, silence, reset: retried; a failure is not an answer, and the row is requested again",
    18: "an unusable or refused judgment: null with a reason, no score beyond `max_unparsed`",
    19: "out of memory in scoring: half the batch, the same numbers",
    20: "a loss of NaN: that pair stops and has no model, its cells in the tables are empty",
    21: "a metric that is NaN or constant: n/a with the cause, never chosen",
    22: "an edit after a partial run: exactly the dependent results are rebuilt",
    23: "two runs in one folder: the second is refused and the owner named, no lock is stale",
    24: "the sign or definition of a metric changes: golden values",
    25: "a secret in environment, traceback or table: it is in no output",
    26: "another order or batch size: the same metrics",
    27: "a judge is retired: the error lists the endpoint's models; old judgments are kept",
    28: "a time limit or preemption: resumes from the last complete checkpoint",
    29: "a slow shared file system: jobs wait for files",
    30: "the hub cannot be reached: not checked, and no error",
}


def table(numbers: dict[str, list[int]], outcomes: dict[str, str]) -> list[str]:
    """A line per fault: its number, the outcomes of its tests in this run, and the correct outcome."""
    lines = []
    for number, fault in FAULTS.items():
        results = [outcomes[test] for test, faults in numbers.items() if number in faults and test in outcomes]
        counts = [f"{results.count(outcome)} {outcome}" for outcome in ("failed", "error", "passed", "skipped")]
        summary = ", ".join(count for count in counts if not count.startswith("0 ")) or "not in this run"
        lines.append(f"{number:3}  {summary:22}  {fault}")
    return lines
