r"""Read the scores of each pair from a table of scores that were measured elsewhere.

python -m scripts.scores.import_scores --benchmark alpaca_eval \
    --columns '{"base": "base", "teacher": "teacher", "scores": {"lc": "alpaca_eval_lc"}, "errors": {}}' \
    --pairs qwen2.5-3b/gemma-2-9b-it qwen2.5-3b/gemma-2-27b-it --compared gemma-2-9b-it gemma-2-27b-it \
    --scores config/paper/scores.csv --outputs results/mine/scores/alpaca_eval/qwen2.5-3b/gemma-2-{9b,27b}-it.json

A score has a standard error, and an interval of 1.96 of them, if the table has a column for it. Exits naming all pairs
of compared teachers that the table lacks; other pairs, of mixes and of teachers shown for reference, have no score.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.jobs.aligned import aligned
from scripts.scores.no_score import NO_SCORE
from scripts.scores.score_file import write_score


def main():
    args = parse_args()
    rows = find_pairs(read_scores(args.scores, args.columns), args.pairs)
    refuse_gaps(rows, args)
    for pair, output in aligned(args, "pairs", "outputs"):
        base, _, teacher = pair.partition("/")
        names = {"benchmark": args.benchmark, "base": base, "teacher": teacher, "baseline": None}
        names |= {"judge": str(args.scores), "judgments": None, "output": output}
        reason = f"{args.scores} lacks a score of this pair" if has_gap(rows[pair], args.columns) else None
        write_score(argparse.Namespace(**names), scores_of(rows[pair], args.columns), reason)


def read_scores(path: Path, columns: dict) -> pl.DataFrame:
    """The table with columns pair (base/teacher), one for each score, and `score.se` for each standard error.

    Texts that are no finite number become null. Exits naming columns that the table lacks, pairs that occur twice, and
    standard errors that are negative.
    """
    table = pl.read_csv(path, infer_schema=False)
    numbers = columns["scores"] | {f"{name}.se": column for name, column in columns["errors"].items()}
    needed = dict.fromkeys([columns["base"], columns["teacher"], *numbers.values()])
    if missing := [column for column in needed if column not in table.columns]:
        raise SystemExit(
            f"{path}: no column {', '.join(missing)}; the table has {', '.join(table.columns)}: see `scores.columns`"
        )
    pair = pl.concat_str(columns["base"], pl.lit("/"), columns["teacher"]).alias("pair")
    table = table.select(
        pair, *(pl.col(column).cast(pl.Float64, strict=False).alias(n) for n, column in numbers.items())
    )
    table = table.with_columns(pl.when(pl.col(name).is_finite()).then(name) for name in numbers)
    if twice := table.filter(pl.col("pair").is_duplicated())["pair"].unique().sort().to_list():
        raise SystemExit(f"{path}: more than one row for {', '.join(twice)}: keep one")
    errors = [name for name in numbers if name.endswith(".se")]
    if negative := table.filter(pl.any_horizontal(pl.lit(False), *(pl.col(n) < 0 for n in errors)))["pair"].to_list():
        raise SystemExit(f"{path}: a standard error below 0 for {', '.join(negative)}")
    return table


def find_pairs(table: pl.DataFrame, pairs: list[str]) -> dict[str, dict]:
    """Pair to its row, in the order of the pairs; with null for each score where the table has no row."""
    found = pl.DataFrame({"pair": pairs}).join(table, on="pair", how="left", validate="1:1", maintain_order="left")
    return {row["pair"]: row for row in found.to_dicts()}


def refuse_gaps(rows: dict[str, dict], args: argparse.Namespace) -> None:
    """Exit naming all pairs of compared teachers that lack a score."""
    needed = [pair for pair in rows if pair.partition("/")[2] in args.compared]
    if missing := [pair for pair in needed if has_gap(rows[pair], args.columns)]:
        raise SystemExit(
            f"{args.scores}: pairs without a score: {len(missing)} of {len(needed)}: {', '.join(missing)}: "
            "add them to the table, or set `compare: false` for the teachers"
        )


def has_gap(row: dict, columns: dict) -> bool:
    """Whether a pair lacks one of the scores."""
    return any(row[name] is None for name in columns["scores"])


def scores_of(row: dict, columns: dict) -> dict[str, dict]:
    """Name to value, se and ci of each score of a pair."""
    scores = {}
    for name in columns["scores"]:
        value, se = row[name], row.get(f"{name}.se")
        ci = None if value is None or se is None else [value - 1.96 * se, value + 1.96 * se]
        scores[name] = NO_SCORE if value is None else {"value": value, "se": se, "ci": ci}
    return scores


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument(
        "--columns", type=json.loads, required=True, help="columns of base, teacher, scores and errors as JSON"
    )
    parser.add_argument("--pairs", nargs="+", required=True, help="base/teacher, by their names in the config")
    parser.add_argument("--compared", nargs="+", required=True, help="teachers whose pairs the table must have")
    parser.add_argument("--scores", type=Path, required=True, help="CSV of scores")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="JSON of the scores, one per pair")
    return parser.parse_args()


if __name__ == "__main__":
    main()
