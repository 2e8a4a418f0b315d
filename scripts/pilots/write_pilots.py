r"""Write the page of the pilots: which teacher will be the best at the target, how sure, and the curves.

python -m scripts.pilots.write_pilots --study mine \
    --settings '{"score": "gsm8k.accuracy", "target": 50000, "seeds": 2}' --pilots results/mine/tables/pilots.csv \
    --curves results/mine/tables/pilot_curves.csv --findings results/mine/tables/pilot_findings.csv \
    --output results/mine/pilots.html

Every number is from the tables of tabulate_pilots.py; the sentences are its findings.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.pilots.figure import curves
from scripts.report.markup import environment
from scripts.tables.files import read_csv
from scripts.tables.text_files import write_text


def main():
    args = parse_args()
    pilots, of_curves, findings = (read_csv(path) for path in (args.pilots, args.curves, args.findings))
    bases = pilots["base"].unique().sort().to_list()
    text = (
        environment(Path(__file__).parent)
        .get_template("pilots.html.jinja")
        .render(
            study=args.study,
            settings=args.settings,
            training=findings.filter(pl.col("base").is_null() | (pl.col("base") == ""))["finding"].to_list(),
            bases=[about_base(base, pilots, of_curves, findings, args.settings) for base in bases],
        )
    )
    write_text(text, args.output)
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB")


def about_base(
    base: str, pilots: pl.DataFrame, of_curves: pl.DataFrame, findings: pl.DataFrame, settings: dict
) -> dict:
    """What the page shows of a base."""
    of_base = pilots.filter(pl.col("base") == base)
    measured, predicted = (of_base.filter(kind=kind) for kind in ("measured", "predicted"))
    scores = {(row["teacher"], row["n"]): row for row in measured.to_dicts()}
    sizes = measured["n"].unique().sort().to_list()
    return {
        "name": base,
        "findings": findings.filter(pl.col("base") == base)["finding"].to_list(),
        "figure": curves(measured, of_curves.filter(pl.col("base") == base), settings["target"], settings["score"]),
        "sizes": sizes,
        "rows": [
            row | {"measured": [scores.get((row["teacher"], size)) for size in sizes]}
            for row in predicted.sort("p_best", "score", descending=True).to_dicts()
        ],
    }


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--settings", type=json.loads, required=True, help="score, target and seeds as JSON")
    parser.add_argument("--pilots", type=Path, required=True, help="CSV of tabulate_pilots.py")
    parser.add_argument("--curves", type=Path, required=True, help="CSV of tabulate_pilots.py")
    parser.add_argument("--findings", type=Path, required=True, help="CSV of tabulate_pilots.py")
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
