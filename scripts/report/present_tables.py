"""The tables of a study that were computed from its present ranking."""

from pathlib import Path

import polars as pl

from scripts.tables.files import read_csv
from scripts.tables.identity import digest_of, sources_of

RANKING = {"stability": ["sensitivity"], "sensitivity": ["teachers"], "sample_size": ["sensitivity"]}
RANKING |= {"scores": ["teachers"]}
SOURCES = RANKING | {
    "ap_differences": ["performance"],
    "correlations": ["teachers", "performance"],
    "differences": ["teachers", "performance"],
    "car": ["teachers", "performance"],
    "size_steps": ["performance", "ap_differences"],
    "conclusions": ["teachers", "performance", "correlations", "differences", "ap_differences"],
}


def present_tables(paths: list[Path]) -> tuple[dict[str, pl.DataFrame], str | None]:
    """Name to table, without those of another ranking, and a sentence about these; None if there are none.

    Exits if a table of the ranking itself is missing or from another ranking.
    """
    files = {path.stem: path for path in paths}
    tables = {name: read_csv(path) for name, path in files.items()}
    digests = {name: digest_of(path) for name, path in files.items()}
    reasons = {name: why for name in files if (why := why_left_out(name, tables, digests))}
    reasons |= {name: "it is missing" for name in ("teachers", *RANKING) if name not in tables}
    if broken := {name: why for name, why in reasons.items() if name in ("teachers", *RANKING)}:
        raise SystemExit(
            f"{listed(broken)}: run `snakemake --cores 1 rank` with the study's configuration, which remakes them"
        )
    left_out = f"Left out: {listed(reasons)}. `snakemake --cores 1 all` with the study's configuration remakes them."
    return {name: tables[name] for name in tables if name not in reasons}, left_out if reasons else None


def shows(page: Path, teachers: Path) -> bool:
    """Whether a page was written from this ranking."""
    return f'<meta name="ranking" content="{digest_of(teachers)}">' in page.read_text(encoding="utf-8")


def why_left_out(name: str, tables: dict[str, pl.DataFrame], digests: dict[str, str]) -> str | None:
    """Why a table does not belong to the present ranking; None if it does."""
    if name == "performance":
        return None if same_pairs(tables) else "it has other pairs than teachers.csv"
    recorded = sources_of(tables[name])
    for source in SOURCES.get(name, []):
        if source in recorded and recorded[source] != digests.get(source):
            return f"computed from another {source}.csv"
        if source in tables and why_left_out(source, tables, digests):
            return f"computed from {source}.csv"
    return None


def same_pairs(tables: dict[str, pl.DataFrame]) -> bool:
    """Whether performance.csv has all ranked pairs of teachers.csv, and no pair that is not there."""
    if "teachers" not in tables:
        return True
    teachers, pair = tables["teachers"], ["base", "teacher"]
    ranked = teachers.drop_nulls("rank").select(pair).rows()
    return set(ranked) <= set(tables["performance"].select(pair).rows()) <= set(teachers.select(pair).rows())


def listed(reasons: dict[str, str]) -> str:
    """a.csv, b.csv (why both); c.csv (why)."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(f"{name}.csv")
    return "; ".join(f"{', '.join(files)} ({why})" for why, files in names.items())
