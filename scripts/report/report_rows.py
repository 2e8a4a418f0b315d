"""What a report shows of single rows: sample answers, and how many rows were not used and why."""

from pathlib import Path

import polars as pl

from scripts.tables.files import read_table

PROMPTS, CHARACTERS = 3, 1200  # of the sample answers


def reasons_of(metrics: list[Path], set_aside: Path) -> list[dict]:
    """where, reason and n of all rows that were not used."""
    rejected = read_table(set_aside, columns=["reason"]).select("reason", where=pl.lit("the instructions"))
    counted = [rejected.group_by("where", "reason").len("n")]
    for path in metrics:
        rows = read_table(path, columns=["base", "teacher", "reason"]).drop_nulls("reason")
        named = rows.select("reason", where=pl.format("{} for {}", "teacher", "base"))
        counted.append(named.group_by("where", "reason").len("n"))
    return pl.concat(counted).sort("where", "reason").to_dicts()


def samples(instructions: Path, responses: list[Path], teachers: pl.DataFrame) -> list[dict]:
    """The first instructions with the response of every ranked teacher, the best by CAR of the first base first."""
    asked = read_table(instructions, columns=["id", "instruction"]).head(PROMPTS)
    ranked = teachers.filter(pl.col("rank").is_not_null() & (pl.col("base") == teachers["base"][0]))["teacher"]
    said = {}
    for path in responses:
        rows = read_table(path, columns=["id", "response", "finish_reason", "reason"])
        said[path.stem] = {row["id"]: row for row in rows.join(asked, on="id", how="semi").iter_rows(named=True)}
    return [
        {"instruction": cut(text), "answers": [{"teacher": name, **shown(said[name][i])} for name in ranked]}
        for i, text in asked.iter_rows()
    ]


def shown(row: dict) -> dict:
    text = row["response"]
    return {
        "text": None if text is None else cut(text),
        "reason": row["reason"],
        "cut": row["finish_reason"] == "length",
    }


def cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} … ({len(text):,} characters)"
