"""Print the teachers of each base model and, where pairs were judged, how well each metric predicted their AP.

python -m scripts.report.print_tables results/miniature/tables

Tables that were computed from another ranking are left out, and named.
"""

import argparse
import textwrap
from pathlib import Path

import polars as pl

from scripts.metrics.definitions import named_columns
from scripts.report.ceiling import ceiling_in_words
from scripts.report.parts import parts_in_words
from scripts.report.present_tables import present_tables, shows
from scripts.report.response_costs import DOLLARS, costs_in_words, known_costs, with_dollars
from scripts.report.scores import sampled_in_words, scores_in_words
from scripts.report.sensitivity import in_words
from scripts.report.size_steps import worse_steps

BEFORE_REWARDS = ["rank", "teacher", "n", "car", "car_se"]
AFTER_REWARDS = ["loss", "ppl_self", "ifd_self", "response_length"]
THINKING = ["thinking_tokens", "cut_in_thinking"]
OF_JUDGED_PAIRS = {"correlations", "car", "conclusions", "size_steps"}
PAGES = {"report.html": "all", "ranking.html": "rank"}  # page to the target that writes it
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
    tables, left_out = present_tables(sorted(folder.glob("*.csv")))
    performance = tables.get("performance", pl.DataFrame())
    with pl.Config(**PLAIN):
        print_teachers(tables, performance)
        print_costs(tables.get("response_costs"))
        if tables.keys() >= OF_JUDGED_PAIRS:  # an interrupted run may lack some
            print_judges(performance)
            print_correlations(tables["correlations"])
            print_car(tables["car"])
            print_conclusions(tables["conclusions"], tables["size_steps"])
    if left_out:
        print()
        print_paragraph(left_out)
    pages = [folder.parent / name for name in PAGES if (folder.parent / name).exists()]
    old = [page for page in pages if not shows(page, folder / "teachers.csv")]
    for page in old:
        print_paragraph(f"{page.name} shows another ranking; `snakemake --cores 1 {PAGES[page.name]}` writes it again.")
    print(
        "\nFiles:",
        *(page for page in pages if page not in old),
        *(folder / f"{name}.csv" for name in tables),
        sep="\n  ",
    )


def print_teachers(tables: dict[str, pl.DataFrame], performance: pl.DataFrame) -> None:
    """A table for each base, and how sure its first teacher is."""
    pair = ["base", "teacher"]
    teachers = tables["teachers"].join(tables["stability"].select(*pair, "car_se"), on=pair, how="left")
    teachers = with_dollars(teachers, tables.get("response_costs"))
    if performance.height:
        teachers = teachers.join(performance.select(*pair, "ap"), on=pair, how="left")
    for base in teachers["base"].unique(maintain_order=True):
        print_ranking(teachers.filter(base=base), title_of(base, performance))
        size = tables["sample_size"].filter(base=base).row(0, named=True)
        print_paragraph(size["advice"])
        print_paragraph(in_words(tables["sensitivity"].filter(base=base)))
        print_paragraph(parts_in_words(size))
        words = scores_in_words(tables["scores"].filter(base=base))
        ranked = teachers.filter(pl.col("rank").is_not_null(), base=base)
        print_paragraph(" ".join(filter(None, [words, sampled_in_words(ranked)])))


def title_of(base: str, performance: pl.DataFrame) -> str:
    """The name of the base, marked if it was fine-tuned with LoRA, unlike the paper's."""
    adapted = "treatment" in performance.columns and "lora" in performance.filter(base=base)["treatment"].to_list()
    return f"{base} (LoRA)" if adapted else base


def print_ranking(teachers: pl.DataFrame, title: str) -> None:
    ap = [name for name in ("ap",) if name in teachers.columns]
    car_se = pl.col("car_se").map_elements("{:.3f}".format, pl.String)
    with_dashes = [column.fill_null("-") for column in (pl.col("rank").cast(pl.String), car_se)]
    print(f"\nTeachers for {title}, best by CAR first")
    dollars = [name for name in DOLLARS if name in teachers.columns]
    thinking = [name for name in THINKING if name in teachers.columns]
    columns = [*BEFORE_REWARDS, *dollars, *named_columns(teachers), *AFTER_REWARDS, *thinking, *ap]
    print(teachers.select(columns).with_columns(with_dashes))
    if teachers["rank"].null_count():
        print("  Teachers marked '-' are shown for reference and not ranked.")
    for note in teachers["note"].drop_nulls().unique():
        print(f"  {note}: {', '.join(teachers.filter(note=note)['teacher'])}")


def print_costs(costs: pl.DataFrame | None) -> None:
    """What each teacher's responses cost; nothing for imports alone, and for tables from before there were costs."""
    if costs is None or not costs["tokens_written"].count():
        return
    print("\nWhat the responses cost")
    print(known_costs(costs))
    if text := costs_in_words(costs):
        print_paragraph(text)


def print_judges(performance: pl.DataFrame) -> None:
    """A warning if a reward model judged."""
    judges = sorted(set(performance["judged_by"])) if "judged_by" in performance.columns else []
    if any("reward model" in names for names in judges):
        print(f"\nAP is judged by {', '.join(judges)}: it shows what a reward model prefers, not what people prefer.")


def print_correlations(correlations: pl.DataFrame) -> None:
    """A row per metric, a column per base."""
    table = correlations.pivot("base", index="metric", values="rho", maintain_order=True)
    bases = [name for name in table.columns if name not in ("metric", "average")]
    average = correlations.filter(base="average").select("metric", "low", "high", "top1_regret")
    print("\nSpearman's rho of each metric with measured average performance (AP), positive if it points in the right")
    print("direction; 95 % interval of the average (low, high); points of AP lost by the metric's first choice")
    print(table.select("metric", *bases, "average").join(average, on="metric", how="left", maintain_order="left"))
    if sentence := ceiling_in_words(correlations):
        print_paragraph(sentence)
    for note in correlations["note"].drop_nulls().unique(maintain_order=True):
        print(f"  {note}")


def print_car(car: pl.DataFrame) -> None:
    """The average rho of CAR over beta, for each reward model and transform; the origins are in car.csv."""
    average = car.filter(base="average", origin=0.0)
    over_beta = average.filter(pl.col("beta_chosen_on").is_null()).with_columns(pl.format("beta {}", "beta"))
    row = ["reward_model", "transform"]
    table = over_beta.pivot("beta", index=row, values="rho", maintain_order=True)
    chosen = average.filter(beta_chosen_on="other bases").select(*row, other_bases="rho")
    print("\nAverage rho of CAR by beta; other_bases: with the beta that is best for the other bases")
    print(table.join(chosen, on=row, how="left", maintain_order="left"))


def print_conclusions(conclusions: pl.DataFrame, steps: pl.DataFrame) -> None:
    print("\nWhat can be concluded")
    for base, conclusion in conclusions.select("base", "conclusion").iter_rows():
        print_paragraph(f"{base}: {conclusion}")
    if sentence := worse_steps(steps):
        print_paragraph(sentence)


def print_paragraph(text: str) -> None:
    how = {"initial_indent": "  ", "subsequent_indent": "    ", "break_on_hyphens": False}  # names have hyphens
    print(textwrap.fill(text, 110, **how))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="folder of a study's tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
