"""Single rows in a report: sample answers, and the numbers of unused rows with their reasons."""

from pathlib import Path

import polars as pl

from scripts.tables.files import read_table

SAMPLES = 3  # instructions
CHARACTERS = 1200  # of a text; longer ones are cut


def reasons_of(metrics: list[Path], set_aside: Path) -> list[dict]:
    """where, reason and n of all unused rows."""
    rejected = read_table(set_aside, columns=["reason"]).select("reason", where=pl.lit("the instructions"))
    counts = [rejected.group_by("where", "reason").len("n")]
    for path in metrics:
        rows = read_table(path, columns=["base", "teacher", "reason"]).drop_nulls("reason")
        rows = rows.select("reason", where=pl.format("{} for {}", "teacher", "base"))
        counts.append(rows.group_by("where", "reason").len("n"))
    return pl.concat(counts).sort("where", "reason").to_dicts()


def samples(instructions: Path, responses: list[Path], teachers: pl.DataFrame) -> list[dict]:
    """The first instructions, each with the responses of all ranked teachers, in the order of the first base's CAR."""
    chosen = read_table(instructions, columns=["id", "instruction"]).head(SAMPLES)
    ranked = teachers.filter(pl.col("rank").is_not_null() & (pl.col("base") == teachers["base"][0]))["teacher"]
    rows = {path.stem: responses_to(chosen, path) for path in responses}
    return [
        {"instruction": cut(text), "answers": [{"teacher": name, **answer(rows[name][id_])} for name in ranked]}
        for id_, text in chosen.iter_rows()
    ]


def responses_to(instructions: pl.DataFrame, path: Path) -> dict[str, dict]:
    """Instruction id to row of a teacher's responses."""
    table = read_table(path, columns=["id", "response", "finish_reason", "reason"])
    return {row["id"]: row for row in table.join(instructions, on="id", how="semi").iter_rows(named=True)}


def answer(row: dict) -> dict:
    """text (None if the row is unusable, for a reason), and whether the response reached the length limit."""
    text = None if row["response"] is None else cut(row["response"])
    return {"text": text, "reason": row["reason"], "cut": row["finish_reason"] == "length"}


def cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} … ({len(text):,} characters)"
