r"""Average performance (AP) of every pair: the mean of the scores that the config names.

python -m scripts.correlations.average_performance --ap held_out.wr --treatments '{"alpha": "full", "beta": "lora"}' \
    --scores results/miniature/scores/held_out/*/*.json --output results/miniature/tables/performance.csv

The paper's AP is the mean of AlpacaEval 2's length-controlled win rate and Arena-Hard's win rate (section 3). Each
score has a column, and one for its standard error over its prompts; a note says why a pair has no score, what its
scores warn of, and that AP has no standard error because a score has none. judged_by: the judges, and the tables of
scores that were measured elsewhere. treatment: lora, or full if all weights were trained, as in the paper; empty if the
workflow trained no pair.

runs: the training runs that AP and the scores are means over, one for each seed; a run without a score is left out, and
the note has its reason. A score of a table counts for each run. seed_sd: the standard deviation of AP over the runs.
ap_se: the standard error of AP, from prompts and, with several runs, from seeds (ap_errors.py); ap_margin: half of its
95 % interval. Exits if two scores of a benchmark are by different judges, or from different prompts or answers of the
baseline.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from scripts.correlations.ap_errors import ap_error, teacher_of, variance_of_prompts, with_errors
from scripts.correlations.prompt_values import covariance_of_means, values_of_prompts
from scripts.tables.files import write_table
from scripts.tables.identity import refuse_different

PAIR = ["base", "teacher"]


def main():
    args = parse_args()
    scores = [json.loads(path.read_text(encoding="utf-8")) for path in args.scores]
    for benchmark in sorted({score["benchmark"] for score in scores}):
        of_benchmark = zip(args.scores, scores, strict=True)
        refuse_different(
            {path: score.get("computed_from", {}) for path, score in of_benchmark if score["benchmark"] == benchmark}
        )
    table = average(scores, args.ap, args.judgments)
    treatment = pl.col("base").replace_strict(args.treatments, return_dtype=pl.String).alias("treatment")
    table = table.select(*PAIR, treatment, pl.exclude(PAIR))
    runs = pl.when(pl.col("treatment").is_not_null()).then("runs").alias("runs")  # those behind a table are not known
    write_table(table.with_columns(runs), args.output)


def average(scores: list[dict], names: list[str], judgments: Sequence[Path] = ()) -> pl.DataFrame:
    """A row per pair: ap, its errors, value and standard error of each score in `names` (`benchmark.score`), notes.

    judgments: of all runs, if there are several; they say what the runs of a pair have in common over prompts.
    """
    runs = scores_of_runs(scores, names)
    prompts = {name: values_of_prompts(judgments, [name]) for name in names}
    rows = [mean_of_runs(of_pair, names, prompts) for _, of_pair in runs.group_by(PAIR, maintain_order=True)]
    table = pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"note": pl.String, "seed_sd": pl.Float64})
    table = table.with_columns(over_prompts=ap_error(table))
    table = pl.concat(
        with_errors(of_base, "over_prompts") for _, of_base in table.group_by("base", maintain_order=True)
    )
    judges = {score["judge"] for score in scores if any(n.rpartition(".")[0] == score["benchmark"] for n in names)}
    columns = [c for name in names for c in (name, f"{name}.se")]
    judged_by = pl.lit(", ".join(sorted(judges))).alias("judged_by")
    table = table.select(*PAIR, "ap", "ap_se", "ap_margin", "runs", "seed_sd", *columns, judged_by, "note")
    return table.sort(["base", "ap"], descending=[False, True], nulls_last=True)


def scores_of_runs(scores: list[dict], names: list[str]) -> pl.DataFrame:
    """A row per training run: base, teacher, run, ap, value and standard error of each score, note."""
    repeated = {score["benchmark"] for score in scores if score["teacher"] != teacher_of(score["teacher"])}
    runs: dict[tuple, dict] = {}
    for score in scores:
        runs.setdefault((score["base"], teacher_of(score["teacher"])), {})[score["teacher"]] = {}
    for score in scores:
        of_pair = runs[score["base"], teacher_of(score["teacher"])]
        for run in [score["teacher"]] if score["benchmark"] in repeated else of_pair:
            row, notes = of_pair[run], [of_pair[run].get("note"), score.get("reason"), score.get("warning")]
            for name in names:
                benchmark, _, kind = name.rpartition(".")
                if benchmark == score["benchmark"]:
                    refuse_unknown(benchmark, kind, score)
                    row[name], row[f"{name}.se"] = score[kind]["value"], score[kind]["se"]
                    notes += [f"AP has no standard error: {name} has none"] if without_error(score[kind]) else []
            row["note"] = "; ".join(dict.fromkeys(filter(None, notes))) or None
    rows = [
        {"base": base, "teacher": teacher, "run": run, **row}
        for (base, teacher), of_pair in runs.items()
        for run, row in of_pair.items()
    ]
    table = pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"note": pl.String})
    return table.with_columns(ap=pl.mean_horizontal(names, ignore_nulls=False))


def refuse_unknown(benchmark: str, kind: str, score: dict) -> None:
    """Exit if `ap` names a score that a score file does not have."""
    if kind not in score:
        known = ", ".join(key for key, value in score.items() if isinstance(value, dict) and "ci" in value)
        raise SystemExit(f"ap: {benchmark} has no score {kind} for {score['teacher']}; it has {known}")


def mean_of_runs(of_pair: pl.DataFrame, names: list[str], prompts: dict[str, dict]) -> dict:
    """The row of a pair: means over the runs that have an AP. prompts: each score's values_of_prompts."""
    measured = of_pair.drop_nulls("ap")
    used = measured if measured.height else of_pair
    row = {name: used[name][0] for name in PAIR} | {"ap": used["ap"].mean(), "runs": measured.height}
    row["seed_sd"] = measured["ap"].std() if measured.height > 1 else None
    for name in names:
        tables = prompts[name].get((name.rpartition(".")[0], row["base"], row["teacher"]), [])
        row |= {name: used[name].mean(), f"{name}.se": error_over_prompts(used[f"{name}.se"], tables)}
    notes = of_pair.drop_nulls("note").select("run", "note").rows()
    row["note"] = "; ".join(f"{run}: {note}" if of_pair.height > 1 else note for run, note in notes) or None
    return row


def error_over_prompts(errors: pl.Series, tables: list[pl.DataFrame]) -> float | None:
    """The standard error over prompts of a score's mean over runs, from the errors of the runs; null if one is.

    tables: id and value of each run, for a score that is a mean over prompts. Without them the runs count as if they
    answered each prompt alike, so that the error is too large.
    """
    if errors.null_count() or len(errors) == 1:
        return None if errors.null_count() else errors[0]
    if len(tables) == len(errors):
        return variance_of_prompts(covariance_of_means(tables), len(tables)) ** 0.5
    return (errors.cast(pl.Float64) ** 2).mean() ** 0.5


def without_error(score: dict) -> bool:
    return score["value"] is not None and score["se"] is None


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ap", nargs="+", required=True, help="names of scores, such as held_out.wr")
    parser.add_argument("--treatments", type=json.loads, required=True, help="base to full, lora or null, as JSON")
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="JSON of scores")
    parser.add_argument("--judgments", type=Path, nargs="*", default=[], help="parquet, one per benchmark and run")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
