r"""By how much the average performance (AP) of two teachers differs for one base, with a paired bootstrap over prompts.

python -m scripts.correlations.compare_ap --ap held_out.wr --performance results/miniature/tables/performance.csv \
    --judgments results/miniature/judgments/held_out/*/*.parquet --output results/miniature/tables/ap_differences.csv

All students answer the same prompts, so that what is hard for one is hard for the others: the error of a difference is
smaller than the errors of both values imply. In each resample of a benchmark's prompts both teachers have the same
prompts; benchmarks are independent. se: the standard error of the difference; paired: whether every benchmark was
resampled so. The scores of judges in pairs (alpaca_eval, arena_hard) have no value of a single prompt in the judgments,
nor have those of lm_eval and of tables: their errors are combined as if they were independent, which is too large.
Empty if a score has no standard error. Of the protocol grade, a prompt's grade is read in its judgments. margin: half
of the 95 % interval of the difference.

With several training runs for each pair, prompts are paired and seeds are not: the error also has the part of the seeds
of both teachers (ap_errors.py).
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.ap_errors import margin, source_of, variance_of_prompts, variance_of_seeds
from scripts.correlations.prompt_values import covariance_of_means, values_of_prompts
from scripts.tables.files import read_csv, write_table
from scripts.tables.identity import with_sources

SCHEMA = {"base": pl.String, "teacher_a": pl.String, "teacher_b": pl.String, "difference": pl.Float64}
SCHEMA |= {"se": pl.Float64, "margin": pl.Float64, "paired": pl.Boolean}


def main():
    args = parse_args()
    performance = read_csv(args.performance)
    prompts = values_of_prompts(args.judgments, args.ap)
    rows = []
    for (base,), of_base in performance.drop_nulls("ap").group_by("base", maintain_order=True):
        seeds = variance_of_seeds(of_base["runs"].to_list(), of_base["seed_sd"].cast(pl.Float64).to_list())
        for a, b in combinations(of_base.sort("teacher").to_dicts(), 2):
            row = {"base": base, "teacher_a": a["teacher"], "teacher_b": b["teacher"]}
            rows.append(row | compare(a, b, prompts, *seeds))
    write_table(with_sources(pl.DataFrame(rows, schema=SCHEMA), args.performance), args.output)


def compare(a: dict, b: dict, prompts: dict[tuple, list], seeds: float = 0.0, freedom: int = 0) -> dict:
    """difference, se, margin and paired of two rows of performance.csv of one base.

    prompts: from values_of_prompts. seeds, freedom: from variance_of_seeds, of all students of the base.
    """
    scores = [name.removesuffix(".se") for name in a if name.endswith(".se")]
    squares, paired = [], []
    for source in dict.fromkeys(map(source_of, scores)):
        tables = [prompts.get((source, row["base"], row["teacher"]), []) for row in (a, b)]
        paired.append(all(tables))
        if paired[-1]:
            squares.append(variance_of_prompts(covariance_of_means([*tables[0], *tables[1]]), len(tables[0])))
        else:
            names = [f"{name}.se" for name in scores if source_of(name) == source]
            missing = any(row[name] is None for row in (a, b) for name in names)
            squares.append(np.nan if missing else sum(sum(row[name] for name in names) ** 2 for row in (a, b)))
            squares[-1] /= len(scores) ** 2
    known = {"difference": a["ap"] - b["ap"], "se": None, "margin": None, "paired": bool(paired) and all(paired)}
    if not scores or np.isnan(sum(squares)):
        return known
    of_seeds = seeds * (1 / a["runs"] + 1 / b["runs"]) if freedom else 0.0
    se = float(np.sqrt(sum(squares) + of_seeds))
    return known | {"se": se, "margin": margin(sum(squares), of_seeds, freedom)}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="names of scores, such as held_out.wr")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--judgments", type=Path, nargs="*", default=[], help="parquet, one per benchmark and run")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and pair of teachers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
