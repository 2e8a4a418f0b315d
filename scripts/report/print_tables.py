"""Print the ranking of teachers for each base model and, where pairs were judged, how well each metric predicted it.

python -m scripts.report.print_tables results/miniature/tables
"""

import argparse
import textwrap
from pathlib import Path

import polars as pl

from scripts.metrics.definitions import named_columns
from scripts.report.sensitivity import in_words
from scripts.tables.files import read_csv

SHOWN = ["rank", "teacher", "n", "car", "car_se", "loss", "ppl_self", "ifd_self", "response_length"]
PLAIN = {
    "tbl_rows": -1,
    "tbl_cols": -1,
    "tbl_width_chars": 200,
    "tbl_formatting": "NOTHING",
    "tbl_hide_dataframe_shape": True,
    "tbl_hide_column_data_types": True,
    "tbl_cell_numeric_alignment": "RIGHT",
    "float_precision": 3,
}


def main():
    folder = parse_args().tables
    tables = {path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))}
    teachers = tables["teachers"].join(
        tables["stability"].select("base", "teacher", "car_se"), on=["base", "teacher"], how="left"
    )
    performance = tables.get("performance", pl.DataFrame())
    if performance.height:
        teachers = teachers.join(performance.select("base", "teacher", "ap"), on=["base", "teacher"], how="left")
    with pl.Config(**PLAIN):
        for base in teachers["base"].unique(maintain_order=True):
            print_ranking(teachers.filter(base=base), named(base, performance))
            size = tables["sample_size"].filter(base=base).row(0, named=True)
            say(size["advice"])
            say(in_words(tables["sensitivity"].filter(base=base), size["first"]))
        if {"correlations", "car", "conclusions", "size_steps"} <= tables.keys():  # a run may have ended before them
            print_judges(performance)
            print_correlations(tables["correlations"])
            print_car(tables["car"])
            print_conclusions(tables["conclusions"], tables["size_steps"])
    pages = [path for path in (folder.parent / "report.html", folder.parent / "ranking.html") if path.exists()]
    print("\nFiles:", *pages, *(folder / f"{name}.csv" for name in tables), sep="\n  ")


def named(base: str, performance: pl.DataFrame) -> str:
    """The base's name, with the treatment where that is not the paper's."""
    adapted = "treatment" in performance.columns and "lora" in performance.filter(base=base)["treatment"].to_list()
    return f"{base} (LoRA)" if adapted else base


def print_ranking(teachers: pl.DataFrame, base: str) -> None:
    columns = [*SHOWN[:5], *named_columns(teachers), *SHOWN[5:], *(["ap"] if "ap" in teachers.columns else [])]
    print(f"\nTeachers for {base}, best by CAR first")
    car_se = pl.col("car_se").map_elements("{:.3f}".format, pl.String)
    below = [column.fill_null("-") for column in (pl.col("rank").cast(pl.String), car_se)]
    print(teachers.select(columns).with_columns(below))
    for note in teachers["note"].drop_nulls().unique():
        print(f"  {note}: {', '.join(teachers.filter(pl.col('note') == note)['teacher'])}")


def print_judges(performance: pl.DataFrame) -> None:
    judges = sorted(set(performance["judged_by"])) if "judged_by" in performance.columns else []
    if any("reward model" in names for names in judges):
        print(f"\nAP is judged by {', '.join(judges)}: what a reward model likes, not what people do")


def print_correlations(correlations: pl.DataFrame) -> None:
    table = correlations.pivot("base", index="metric", values="rho", maintain_order=True)
    bases = [name for name in table.columns if name not in ("metric", "average")]
    average = correlations.filter(base="average").select("metric", "low", "high", "top1_regret")
    print("\nSpearman's rho of each metric with average performance (AP), positive where the metric is right; the 95 %")
    print("interval of the average; and the points of AP that the metric's first choice loses")
    print(table.select("metric", *bases, "average").join(average, on="metric", how="left", maintain_order="left"))
    for note in correlations["note"].drop_nulls().unique(maintain_order=True):
        print(f"  {note}")


def print_car(car: pl.DataFrame) -> None:
    """The average rho of CAR over beta, for each reward model and transform; the origins are in car.csv."""
    average = car.filter(base="average", origin=0.0)
    over_beta = average.filter(pl.col("beta_chosen_on").is_null())
    chosen = average.filter(beta_chosen_on="other bases").select("reward_model", "transform", other_bases="rho")
    table = over_beta.with_columns(pl.format("beta {}", "beta")).pivot(
        "beta", index=["reward_model", "transform"], values="rho", maintain_order=True
    )
    print("\nThe average rho of CAR by beta, and with the beta that suits the other bases best")
    print(table.join(chosen, on=["reward_model", "transform"], how="left", maintain_order="left"))


def print_conclusions(conclusions: pl.DataFrame, steps: pl.DataFrame) -> None:
    print("\nWhat can be concluded")
    for base, conclusion in conclusions.select("base", "conclusion").iter_rows():
        say(f"{base}: {conclusion}")
    if steps.height:
        worse = steps["inverted"].sum()
        say(f"The larger teacher of a family is the worse one in {worse} of {steps.height} steps to the next size.")


def say(text: str) -> None:
    print(textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="    "))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="folder of a study's tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
