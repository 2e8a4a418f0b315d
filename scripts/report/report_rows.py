"""Single rows in a report: sample answers, and the numbers of unused rows with their reasons."""

from pathlib import Path

import polars as pl

from scripts.tables.files import read_table

SAMPLES = 3  # instructions
CHARACTERS = 1200  # of a text; longer ones are cut


def reasons_of(metrics: list[Path], set_aside: list[Path]) -> list[dict]:
    """where, reason and n of all unused rows. set_aside: of the instructions, or of those of each teacher."""
    counts = []
    for path in set_aside:
        where = "the instructions" if len(set_aside) == 1 else f"the instructions of {path.stem}"
        rejected = read_table(path, columns=["reason"]).select("reason", where=pl.lit(where))
        counts.append(rejected.group_by("where", "reason").len("n"))
    for path in metrics:
        rows = read_table(path, columns=["base", "teacher", "reason"]).drop_nulls("reason")
        rows = rows.select("reason", where=pl.format("{} for {}", "teacher", "base"))
        counts.append(rows.group_by("where", "reason").len("n"))
    return pl.concat(counts).sort("where", "reason").to_dicts()


def samples(instructions: list[Path], responses: list[Path], teachers: pl.DataFrame) -> list[dict]:
    """The first instructions, each with the responses of all ranked teachers, in the order of the first base's CAR.

    With a table of instructions for each teacher: the first ones of each, with its own responses.
    """
    ranked = teachers.filter(pl.col("rank").is_not_null(), base=teachers["base"][0])["teacher"].to_list()
    tables = {path.stem: path for path in responses}
    if len(instructions) == 1:
        return samples_of(instructions[0], {name: tables[name] for name in ranked})
    own = {path.stem: path for path in instructions}
    return [sample for name in ranked for sample in samples_of(own[name], {name: tables[name]})]


def samples_of(instructions: Path, responses: dict[str, Path]) -> list[dict]:
    """The first instructions of a table, each with the responses of these teachers."""
    chosen = read_table(instructions, columns=["id", "instruction"]).head(SAMPLES)
    rows = {name: responses_to(chosen, path) for name, path in responses.items()}
    return [
        {"instruction": cut(text), "answers": [{"teacher": name, **answer(rows[name][id_])} for name in rows]}
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
