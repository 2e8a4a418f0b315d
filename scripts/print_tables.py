"""Print the ranking of teachers for each base model and, where pairs were judged, how well each metric predicted it.

python scripts/print_tables.py results/miniature/tables
"""

import argparse
import textwrap
from pathlib import Path

import polars as pl

from metrics import named_columns

SHOWN = ["rank", "teacher", "n", "car", "loss", "ppl_self", "ifd_self", "response_length"]


def main():
    args = parse_args()
    teachers = pl.read_csv(args.tables / "teachers.csv", infer_schema_length=None)
    adapted, judges = set(), set()
    judged = (args.tables / "correlations.csv").exists()
    if judged:
        performance = pl.read_csv(args.tables / "performance.csv", infer_schema_length=None)
        if "treatment" in performance.columns:
            adapted = set(performance.filter(pl.col("treatment") == "lora")["base"])
            judges = set(performance["judged_by"])
        teachers = teachers.join(performance.select("base", "teacher", "ap"), on=["base", "teacher"], how="left")
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=200,
        tbl_formatting="NOTHING",
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_cell_numeric_alignment="RIGHT",
        float_precision=3,
    ):
        for base in teachers["base"].unique(maintain_order=True):
            print_ranking(teachers.filter(pl.col("base") == base), f"{base} (LoRA)" if base in adapted else base)
        if any("reward model" in names for names in judges):
            print(f"\nAP is judged by {', '.join(sorted(judges))}: what a reward model likes, not what people do")
        if judged:
            correlations = pl.read_csv(args.tables / "correlations.csv", infer_schema_length=None)
            print_correlations(correlations, pl.read_csv(args.tables / "conclusions.csv"))
    print("Files:", *(str(path) for path in sorted(args.tables.glob("*.csv"))), sep="\n  ")


def print_ranking(teachers: pl.DataFrame, base: str) -> None:
    columns = [*SHOWN[:4], *named_columns(teachers), *SHOWN[4:], *(["ap"] if "ap" in teachers.columns else [])]
    print(f"\nTeachers for {base}, best by CAR first")
    print(teachers.select(columns).with_columns(pl.col("rank").cast(pl.String).fill_null("-")))
    for note in teachers["note"].drop_nulls().unique():
        print(f"  {note}: {', '.join(teachers.filter(pl.col('note') == note)['teacher'])}")


def print_correlations(correlations: pl.DataFrame, conclusions: pl.DataFrame) -> None:
    table = correlations.pivot("base", index="metric", values="rho", maintain_order=True)
    bases = [name for name in table.columns if name not in ("metric", "average")]
    average = correlations.filter(pl.col("base") == "average").select("metric", "low", "high", "top1_regret")
    print("\nSpearman's rho of each metric with average performance (AP), positive where the metric is right; the 95 %")
    print("interval of the average; and the points of AP that the metric's first choice loses")
    print(table.select("metric", *bases, "average").join(average, on="metric", how="left", maintain_order="left"))
    for note in correlations["note"].drop_nulls().unique(maintain_order=True):
        print(f"  {note}")
    print("\nWhat can be concluded")
    for base, conclusion in conclusions.select("base", "conclusion").iter_rows():
        print(textwrap.fill(f"{base}: {conclusion}", 110, initial_indent="  ", subsequent_indent="    "))
    print()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="folder of a study's tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
