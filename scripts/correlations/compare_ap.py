r"""By how much the average performance (AP) of two teachers differs for one base, with a paired bootstrap over prompts.

python -m scripts.correlations.compare_ap --ap held_out.wr --performance results/miniature/tables/performance.csv \
    --judgments results/miniature/judgments/held_out/*/*.parquet --output results/miniature/tables/ap_differences.csv

All students answer the same prompts, so that what is hard for one is hard for the others: the error of a difference is
smaller than the errors of both values imply. In each resample of a benchmark's prompts both teachers have the same
prompts; benchmarks are independent. se: the standard error of the difference; paired: whether every benchmark was
resampled so. The scores of judges in pairs (alpaca_eval, arena_hard) have no value of a single prompt in the judgments,
nor have those of lm_eval and of tables: their errors are combined as if they were independent, which is too large.
Empty if a score has no standard error. Of the protocol grade, a prompt's grade is read in its judgments.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.pairs import source_of
from scripts.scores.prompt_grades import SCALE, prompt_grades
from scripts.tables.files import read_csv, read_table, write_table
from scripts.tables.identity import with_sources

# score to the column of the table of prompts whose mean it is, and the points of 1 in this column
OF_PROMPT = {"wr": ("preference", 100), "accuracy": ("correct", 100)}
OF_PROMPT |= {name: (name, SCALE) for name in ("grade", "turn_1", "turn_2")}
RESAMPLES, SEED = 2000, 0
SCHEMA = {"base": pl.String, "teacher_a": pl.String, "teacher_b": pl.String, "difference": pl.Float64}
SCHEMA |= {"se": pl.Float64, "paired": pl.Boolean}


def main():
    args = parse_args()
    performance = read_csv(args.performance)
    prompts = values_of_prompts(args.judgments, args.ap)
    rows = []
    for (base,), of_base in performance.drop_nulls("ap").group_by("base", maintain_order=True):
        for a, b in combinations(of_base.sort("teacher").to_dicts(), 2):
            rows.append({"base": base, "teacher_a": a["teacher"], "teacher_b": b["teacher"], **compare(a, b, prompts)})
    write_table(with_sources(pl.DataFrame(rows, schema=SCHEMA), args.performance), args.output)


def compare(a: dict, b: dict, prompts: dict[tuple, pl.DataFrame]) -> dict:
    """difference, se and paired of two rows of performance.csv of one base; `prompts`: from values_of_prompts."""
    scores = [name.removesuffix(".se") for name in a if name.endswith(".se")]
    squares, paired = [], []
    for source in dict.fromkeys(map(source_of, scores)):
        tables = [prompts.get((source, row["base"], row["teacher"])) for row in (a, b)]
        paired.append(all(table is not None for table in tables))
        if paired[-1]:
            both = tables[0].join(tables[1], on="id", validate="1:1")
            squares.append(paired_error((both["value"] - both["value_right"]).to_numpy()) ** 2)
        else:
            names = [f"{name}.se" for name in scores if source_of(name) == source]
            missing = any(row[name] is None for row in (a, b) for name in names)
            squares.append(np.nan if missing else sum(sum(row[name] for name in names) ** 2 for row in (a, b)))
            squares[-1] /= len(scores) ** 2
    se = float(np.sqrt(sum(squares))) if scores else np.nan
    known = {"se": None if np.isnan(se) else se, "paired": bool(paired) and all(paired)}
    return {"difference": a["ap"] - b["ap"], **known}


def paired_error(differences: np.ndarray) -> float:
    """The bootstrap standard error of the mean of differences (prompts,)."""
    drawn = np.random.default_rng(SEED).integers(len(differences), size=(RESAMPLES, len(differences)))
    return float(differences[drawn].mean(1).std(ddof=1))


def values_of_prompts(paths: list[Path], ap: list[str]) -> dict[tuple, pl.DataFrame]:
    """(benchmark, base, teacher) to id and value, a prompt's share of AP in points.

    Without the benchmarks that have a score in `ap` that is no mean over prompts.
    """
    found = {}
    for path in paths:
        judgments = read_table(path)
        benchmark, base, teacher = judgments.select("benchmark", "base", "teacher").row(0)
        scores = [name.rpartition(".")[2] for name in ap if name.rpartition(".")[0] == benchmark]
        of_prompt = prompt_grades(judgments) if "turn" in judgments.columns else judgments
        columns = [OF_PROMPT.get(score, (None, 0)) for score in scores]
        if all(column in of_prompt.columns for column, _ in columns):
            value = sum(pl.col(column).cast(pl.Float64) * points for column, points in columns) / len(ap)
            found[benchmark, base, teacher] = of_prompt.select("id", value=value).drop_nulls()
    return found


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="names of scores, such as held_out.wr")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--judgments", type=Path, nargs="*", default=[], help="parquet, one per benchmark and pair")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and pair of teachers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
