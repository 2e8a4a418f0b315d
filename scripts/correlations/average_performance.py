r"""Average performance (AP) of every pair: the mean of the scores that the config names.

python -m scripts.correlations.average_performance --ap held_out.wr --treatments '{"alpha": "full", "beta": "lora"}' \
    --scores results/miniature/scores/held_out/*/*.json --output results/miniature/tables/performance.csv

The paper's AP is the mean of AlpacaEval 2's length-controlled win rate and Arena-Hard's win rate (section 3). Each
score has a column, and one for its standard error; a note says why a pair has no score, what its scores warn of, and
that AP has no standard error because a score has none. judged_by: the judges, and the tables of scores that were
measured elsewhere. treatment: lora, or full if all weights were trained, as in the paper; empty if the workflow trained
no pair. Exits if two scores of a benchmark are by different judges, or from different prompts or answers of the
baseline.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import write_table
from scripts.tables.identity import refuse_different


def main():
    args = parse_args()
    scores = [json.loads(path.read_text(encoding="utf-8")) for path in args.scores]
    for benchmark in sorted({score["benchmark"] for score in scores}):
        of_benchmark = zip(args.scores, scores, strict=True)
        refuse_different(
            {path: score.get("computed_from", {}) for path, score in of_benchmark if score["benchmark"] == benchmark}
        )
    table = average(scores, args.ap)
    treatment = pl.col("base").replace_strict(args.treatments, return_dtype=pl.String).alias("treatment")
    write_table(table.select("base", "teacher", treatment, pl.exclude("base", "teacher")), args.output)


def average(scores: list[dict], names: list[str]) -> pl.DataFrame:
    """A row per pair: ap, value and standard error of each score in `names` (`benchmark.score`), judged_by, note."""
    rows: dict[tuple, dict] = {}
    judges = {score["judge"] for score in scores if any(n.rpartition(".")[0] == score["benchmark"] for n in names)}
    for score in scores:
        row = rows.setdefault((score["base"], score["teacher"]), {"base": score["base"], "teacher": score["teacher"]})
        notes = [row.get("note"), score.get("reason"), score.get("warning")]
        for name in names:
            benchmark, _, kind = name.rpartition(".")
            if benchmark == score["benchmark"]:
                if kind not in score:
                    known = ", ".join(key for key, value in score.items() if isinstance(value, dict) and "ci" in value)
                    raise SystemExit(f"ap: {benchmark} has no score {kind} for {score['teacher']}; it has {known}")
                row[name], row[f"{name}.se"] = score[kind]["value"], score[kind]["se"]
                notes += [f"AP has no standard error: {name} has none"] if without_error(score[kind]) else []
        row["note"] = "; ".join(dict.fromkeys(filter(None, notes))) or None
    table = pl.DataFrame(list(rows.values()), infer_schema_length=None, schema_overrides={"note": pl.String})
    ap = pl.mean_horizontal(names, ignore_nulls=False).alias("ap")
    columns = [c for name in names for c in (name, f"{name}.se")]
    judged_by = pl.lit(", ".join(sorted(judges))).alias("judged_by")
    table = table.select("base", "teacher", ap, *columns, judged_by, "note")
    return table.sort(["base", "ap"], descending=[False, True], nulls_last=True)


def without_error(score: dict) -> bool:
    return score["value"] is not None and score["se"] is None


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="names of scores, such as held_out.wr")
    parser.add_argument("--treatments", type=json.loads, required=True, help="base to full, lora or null, as JSON")
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="JSON of scores")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
