r"""Check that imports have common instructions before a model is loaded; else the ranking would fail after hours.

python -m scripts.checks.check_imports --max-set-aside 0.2 \
    --responses results/mine/responses/a.parquet results/mine/responses/b.parquet \
    --output results/mine/checks/imports.json
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.ranking.common_instructions import common_ids, refuse_gaps
from scripts.tables.files import read_table
from scripts.tables.text_files import write_json


def main():
    args = parse_args()
    tables = [read_table(path, columns=["id", "teacher", "reason"]) for path in args.responses]
    rows = pl.concat(tables).with_columns(base=pl.lit("imports"))
    teachers = [table["teacher"][0] for table in tables]
    common = common_ids(rows, teachers)
    refuse_gaps(rows, teachers, args.max_set_aside)
    write_json({"teachers": teachers, "common_instructions": common.height}, args.output)
    print(f"instructions with a usable response from each of {', '.join(teachers)}: {common.height}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--max-set-aside", type=float, required=True, help="largest share of instructions without a usable row"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per compared import")
    parser.add_argument("--output", type=Path, required=True, help="JSON, written if nothing is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()
