r"""What public tables of teachers and base models say of each metric, without running a model.

python -m scripts.evidence.tabulate_evidence --tables config/evidence/*.yaml --output results/evidence/tables

correlations.csv: rho of each metric with average performance (AP) for each table, task and base, with an interval where
there are ten or more teachers, and the regret: AP points lost by taking the metric's first choice (with ties: the mean
over all orders), beside those that a random choice loses. summary.csv: the mean over bases and tasks, and over those of
a part of the table; over: whether its interval is about other teachers or about other tasks. differences.csv: whether
two metrics differ. winners.csv: for how many bases each teacher is the best. findings.csv: the same in sentences.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.evidence.combined_metrics import with_combinations
from scripts.evidence.compare_table import compare_table
from scripts.evidence.correlate_table import correlate_table
from scripts.evidence.evidence_tables import Evidence, read_evidence
from scripts.evidence.findings import findings_of
from scripts.evidence.table_parts import parts_of
from scripts.tables.files import read_csv, write_table

NUMBERS = ["rho", "low", "high", "tau_b", "top1_regret", "random_regret", "top3_regret", "partial_rho", "ceiling"]
NAMES = {"table": pl.String, "part": pl.String, "task": pl.String, "base": pl.String, "metric": pl.String}
COUNTS = {"n": pl.Int64, "n_max": pl.Int64, "n_groups": pl.Int64, "without": pl.Int64}
ROW = NAMES | {"better": pl.String} | COUNTS | {"over": pl.String} | dict.fromkeys(NUMBERS, pl.Float64)
ROW |= {"note": pl.String}
DIFFERENCE = {"table": pl.String, "metric_a": pl.String, "metric_b": pl.String, "n_groups": pl.Int64, "n": pl.Int64}
DIFFERENCE |= {"over": pl.String} | dict.fromkeys(("difference", "low", "high", "p"), pl.Float64) | {"note": pl.String}


def main():
    args = parse_args()
    tables = [read_evidence(path) for path in args.tables]
    rows, differences, winners = [], [], []
    for table in tables:
        whole = with_combinations(table)
        of_table = correlate_table(whole)
        differences += named(table, compare_table(whole, of_table))
        rows += named(table, of_table + printed_rows(table.facts))
        for name, part in parts_of(table).items():
            rows += [row | {"part": name} for row in named(table, correlate_table(part)) if row["base"] == "average"]
        winners += named(table, winners_of(table))
    correlations = pl.DataFrame(rows, schema=ROW)
    average = correlations["base"] == "average"
    results = {
        "correlations": correlations.filter(~average).drop("part", "n_max", "n_groups", "over"),
        "summary": correlations.filter(average).drop("task", "base"),
        "differences": pl.DataFrame(differences, schema=DIFFERENCE),
        "winners": pl.DataFrame(winners),
    }
    facts = {table.name: table.facts for table in tables}
    results["findings"] = pl.DataFrame(findings_of(facts, results))
    for name, result in results.items():
        write_table(result, args.output / f"{name}.csv")
    print(*results["findings"]["finding"], sep="\n")


def named(table: Evidence, rows: list[dict]) -> list[dict]:
    return [{"table": table.name} | row for row in rows]


def printed_rows(facts: dict) -> list[dict]:
    """The rho that a paper prints for metrics whose values are not public; their averages have no interval."""
    if "printed" not in facts:
        return []
    rows = read_csv(Path(facts["printed"])).with_columns(task=pl.lit(""), without=0)
    groups = rows.filter(pl.col("base") != "average")["base"].n_unique()
    counts = {"n_groups": groups, "n_max": pl.col("n"), "note": pl.lit("printed; the values are not public")}
    average = rows.filter(base="average").with_columns(
        **{name: pl.lit(value) if isinstance(value, int) else value for name, value in counts.items()}
    )
    return [*rows.filter(pl.col("base") != "average").to_dicts(), *average.to_dicts()]


def winners_of(table: Evidence) -> list[dict]:
    """For each task: for how many of its bases each teacher has the highest AP (all of those that are equal)."""
    best = pl.col("ap") == pl.col("ap").max().over("task", "base")
    bases = pl.col("base").n_unique().over("task")
    counted = table.pairs.with_columns(best=best, n_bases=bases).group_by("task", "teacher", maintain_order=True)
    return counted.agg(best_for=pl.col("best").sum().cast(pl.Int64), n_bases=pl.col("n_bases").first()).to_dicts()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help="YAML files of tables, see docs/evidence.md"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
