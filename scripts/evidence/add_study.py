r"""Make a finished study one more table of the evidence: config/evidence/<study>.csv and <study>.yaml.

python -m scripts.evidence.add_study results/mine

The CSV has the metrics and the average performance (AP) of each base and compared teacher, from tables/teachers.csv and
tables/performance.csv. Complete the YAML file (what was trained on, how far it can be trusted), then run
`snakemake evidence`. An existing YAML file is kept.
"""

import argparse
from pathlib import Path

import polars as pl
import yaml

from scripts.correlations.pairs import read_pairs, with_transfer
from scripts.metrics.definitions import METRICS, better
from scripts.tables.files import write_table
from scripts.tables.text_files import write_text


def main():
    args = parse_args()
    teachers, performance = (args.study / "tables" / name for name in ("teachers.csv", "performance.csv"))
    if missing := [str(path) for path in (teachers, performance) if not path.exists()]:
        raise SystemExit(f"no {' and no '.join(missing)}: finish the study first (snakemake all)")
    pairs = read_pairs(teachers, performance)
    metrics = [name for name in with_transfer(pairs)[1] if name in pairs.columns and pairs[name].count()]
    table = args.output / f"{args.study.name}.csv"
    write_table(pairs.select("base", "teacher", "ap", "ap_se", pl.col(metrics).cast(pl.Float64)), table)
    description = table.with_suffix(".yaml")
    if not description.exists():
        write_text(yaml.safe_dump(facts_of(args.study.name, pairs, metrics), sort_keys=False, width=120), description)
    print(f"{table}: {pairs.height} pairs, {len(metrics)} metrics; {description} says what they are")


def facts_of(study: str, pairs: pl.DataFrame, metrics: list[str]) -> dict:
    """The YAML file of the table. CAR is that of the study, so it is not combined again."""
    sizes = f"{pairs['teacher'].n_unique()} teachers, base models: {pairs['base'].n_unique()}"
    return {
        "title": study,
        "source": f"results/{study}/tables",
        "license": "your own figures",
        "setting": sizes,
        "unit": "points of AP",
        "trust": "fair",
        "metrics": {name: {"better": better(name), "meaning": meaning_of(name)} for name in metrics},
    }


def meaning_of(metric: str) -> str:
    return METRICS[metric].source if metric in METRICS else "see docs/metrics.md"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a finished study, such as results/mine")
    parser.add_argument("--output", type=Path, default=Path("config/evidence"), help="folder of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
