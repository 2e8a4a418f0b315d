r"""Look at the first rows of every table of a study, before a model is loaded: one line per problem, all at once.

python -m scripts.checks.check_sources \
    --sources '{"instructions": {"path": "mine.jsonl", "columns": {"instruction": "q"}, "needed": ["instruction"]}}' \
    --output results/mine/checks/sources.json

For each table: whether it can be read, whether it has the columns, how many of its first 1,000 rows have a text in the
needed ones, for an import whether an instruction has several different responses although it is no pool, and whether
prompts have as many turns as `ap` names. An unreachable hub is not a problem: the table is then `not checked`.
"""

import argparse
import json
from pathlib import Path

import httpx2
import polars as pl

from scripts.tables.matching import refuse_several
from scripts.tables.source_files import name_of
from scripts.tables.sources import read_texts
from scripts.tables.text_files import write_json
from scripts.tables.user_turns import with_user_turns

FIRST = 1000  # rows


def main():
    args = parse_args()
    facts, problems = {}, []
    for where, source in args.sources.items():
        facts[where], problem = look(source)
        problems += [f"{where}: {problem}"] if problem else []
    if problems:
        raise SystemExit("\n".join(problems))
    write_json(facts, args.output)
    print(json.dumps(facts, indent=2))


def look(source: dict) -> tuple[dict, str | None]:
    """Facts about the first rows of a table, and what is wrong with it."""
    name, needed = name_of(source), source["needed"]
    try:
        table = with_user_turns(read_texts(source, first=FIRST), source)
        if source.get("candidates", 1) is None:
            keys = [name for name in ("id", "instruction") if name in table.columns]
            refuse_several(table.with_columns(id=pl.coalesce(keys)).drop_nulls("id"), name)
    except SystemExit as error:
        if isinstance(error.__cause__, ConnectionError | httpx2.TransportError):
            return {"table": name, "not checked": str(error)}, None
        return {}, str(error)
    has_text = [(pl.col(column).str.strip_chars() != "").fill_null(False) for column in needed]
    usable = table.filter(has_text).height
    facts = {"table": name, "rows": table.height, "usable": usable, "needed": needed}
    if not table.height and not source.get("match"):
        return facts, f"{name}: it has no row"
    turns = table.filter(pl.col("unreadable").is_null())["n_turns"].max() if "turn" in source else None
    if turns and turns < source["turn"] and table.height < FIRST:
        return facts, f"{name}: its prompts have at most {turns} turns, and `ap` names turn_{source['turn']}"
    if table.height and not usable:
        return facts, f"{name}: none of its first {table.height:,} rows has a text in {' and '.join(needed)}"
    return facts, None


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sources", type=json.loads, required=True, help="place in the config to source, with needed columns, as JSON"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON, written if nothing is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()
