r"""Write the page of the public tables: what is known of each metric, and each table with its source.

python -m scripts.evidence.write_evidence --tables config/evidence/*.yaml --results results/evidence/tables \
    --output results/evidence/evidence.html

Every number is from the tables of tabulate_evidence.py; the sentences are its findings.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.evidence.combined_metrics import MEANINGS
from scripts.evidence.evidence_tables import TRUST, read_facts
from scripts.report.markup import environment
from scripts.tables.files import read_csv
from scripts.tables.text_files import write_text

MOST_COLUMNS = 15  # more bases and tasks than these are only in the CSV


def main():
    args = parse_args()
    results = {
        name: read_csv(args.results / f"{name}.csv") for name in ("correlations", "summary", "differences", "findings")
    }
    facts = {path.stem: read_facts(path) for path in args.tables}
    facts = dict(sorted(facts.items(), key=lambda item: (TRUST.index(item[1]["trust"]), item[1]["title"])))
    text = (
        environment(Path(__file__).parent)
        .get_template("evidence.html.jinja")
        .render(
            findings=sentences(results["findings"], "all"),
            titles={name: of_table["title"] for name, of_table in facts.items()},
            over_tasks=[
                facts[name]["title"] for name in results["summary"].filter(over="tasks")["table"].unique().sort()
            ],
            kinds=by_kind(results["summary"]),
            tables=[about_table(name, of_table, results) for name, of_table in facts.items()],
        )
    )
    write_text(text, args.output)
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB")


def sentences(findings: pl.DataFrame, about: str, name: str | None = None) -> list[str]:
    rows = findings.filter(about=about)
    return (rows if name is None else rows.filter(name=name))["finding"].to_list()


def by_kind(summary: pl.DataFrame) -> dict[str, dict[str, list[dict]]]:
    """Kind of metric (reward of reward:skywork) to table to its rows, for the kinds that several tables have."""
    rows = summary.filter(pl.col("part").is_null()).with_columns(kind=pl.col("metric").str.split(":").list.first())
    kinds: dict[str, dict[str, list[dict]]] = {}
    for row in rows.sort("rho", descending=True).to_dicts():
        of_kind = kinds.setdefault(row["kind"], {}).setdefault(row["table"], [])
        of_kind.append(row | {"variant": row["metric"].partition(":")[2]})
    several = {kind: tables for kind, tables in kinds.items() if len(tables) > 1}
    return dict(sorted(several.items(), key=lambda item: -len(item[1])))


def about_table(name: str, facts: dict, results: dict[str, pl.DataFrame]) -> dict:
    """What the page shows of one table."""
    summary = results["summary"].filter(table=name)
    parts = summary.drop_nulls("part")
    rhos = {(row["part"], row["metric"]): row["rho"] for row in parts.to_dicts()}
    rows = summary.filter(pl.col("part").is_null()).sort("rho", descending=True).to_dicts()
    printed = {row["metric"]: row["note"] for row in rows if "printed" in facts and row["low"] is None}
    meanings = MEANINGS | printed | {metric: of_metric["meaning"] for metric, of_metric in facts["metrics"].items()}
    names = parts["part"].unique(maintain_order=True).to_list()
    return {
        "name": name,
        "facts": facts,
        "findings": sentences(results["findings"], "table", name),
        "parts": names,
        "has_tasks": results["correlations"].filter(table=name)["task"].n_unique() > 1,
        "rows": [
            row
            | {"meaning": meanings.get(row["metric"], "")}
            | {"of_parts": [rhos.get((part, row["metric"])) for part in names]}
            for row in rows
        ],
        **of_groups(results["correlations"].filter(table=name), [row["metric"] for row in rows]),
    }


def of_groups(correlations: pl.DataFrame, metrics: list[str]) -> dict:
    """The rho of each metric for each base and task, if they are few enough for a table."""
    names = correlations.select("task", "base").unique(maintain_order=True).sort("task", "base").rows()
    if len(names) > MOST_COLUMNS:
        return {"groups": [], "n_groups": len(names), "cells": {}}
    found = {(row["metric"], row["task"], row["base"]): row["rho"] for row in correlations.to_dicts()}
    cells = {metric: [found.get((metric, *name)) for name in names] for metric in metrics}
    return {"groups": [" ".join(filter(None, name[::-1])) for name in names], "n_groups": len(names), "cells": cells}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="YAML files of the tables")
    parser.add_argument("--results", type=Path, required=True, help="folder with the CSVs of tabulate_evidence.py")
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
