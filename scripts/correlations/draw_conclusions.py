r"""What can and cannot be concluded about each base model, and about their average, in sentences.

python -m scripts.correlations.draw_conclusions --compare paired --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --correlations results/miniature/tables/correlations.csv \
    --differences results/miniature/tables/differences.csv \
    --ap-differences results/miniature/tables/ap_differences.csv --output results/miniature/tables/conclusions.csv

best: the teacher with the highest average performance (AP); tied: those whose AP is not significantly
lower, with the 95 % intervals of the differences from ap_differences.csv.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.correlations.ap_errors import variance_of_seeds
from scripts.correlations.pairs import join_pairs, read_differences
from scripts.metrics.car import INSTRUCTIONS_DIFFER
from scripts.metrics.rank_statistics import MIN_TEACHERS
from scripts.tables.files import read_csv, write_table
from scripts.tables.identity import with_sources

LEVEL = 0.05  # significance level of the permutation test


def main():
    args = parse_args()
    performance, correlations, differences = map(read_csv, (args.performance, args.correlations, args.differences))
    pairs = join_pairs(read_csv(args.teachers), performance)
    margins = read_differences(args.ap_differences, "margin")
    rows = []
    for (base,), of_base in pairs.group_by("base", maintain_order=True):
        sentences = [*about_gaps(performance.filter(base=base)), *about_car(base, correlations, differences)]
        row = {"base": base, "best": None, "tied": None}
        if of_base["ap"].count():
            sentences += [about_best(of_base, margins), about_choice(of_base)]
            sentences += about_runs(performance.filter(base=base))
            sentences += about_instructions(of_base) if args.compare == "unpaired" else []
            row |= {"best": by_ap(of_base)[0]["teacher"], "tied": ", ".join(tied_with_best(of_base, margins))}
        rows.append(row | {"conclusion": " ".join(sentences)})
    if len(rows) > 1:
        rows.append({"base": "average", "conclusion": " ".join(about_car("average", correlations, differences))})
    sources = (args.teachers, args.performance, args.correlations, args.differences, args.ap_differences)
    write_table(with_sources(pl.DataFrame(rows, infer_schema_length=None), *sources), args.output)


def about_gaps(performance: pl.DataFrame) -> list[str]:
    """The teachers without an AP for this base."""
    missing = sorted(performance.filter(pl.col("ap").is_null())["teacher"])
    return [f"AP is missing for {listed(missing)}: see performance.csv."] if missing else []


def about_car(base: str, correlations: pl.DataFrame, differences: pl.DataFrame) -> list[str]:
    """How well CAR predicts AP, by itself and compared with other metrics.

    The average needs as many teachers as one base, because it is over the same teachers.
    """
    rows = correlations.filter(base=base, metric="car").to_dicts()
    if not rows:
        return ["No teacher has an AP, so CAR cannot be compared with it."]
    car = rows[0]
    enough = car["n"] >= MIN_TEACHERS and car["rho"] is not None
    return [about_correlation(car), *([about_other_metrics(differences.filter(base=base))] if enough else [])]


def about_correlation(car: dict) -> str:
    """How well CAR predicts AP."""
    if car["rho"] is None:
        return f"CAR's correlation with AP cannot be computed ({car['note']})."
    if car["n"] < MIN_TEACHERS:
        teachers = "1 teacher is" if car["n"] == 1 else f"{car['n']} teachers are"
        return f"{teachers} too few to conclude how well CAR, or any other metric, predicts AP."
    result = "CAR predicts AP" if car["low"] > 0 else "These data do not show that CAR predicts AP"
    if car["high"] < 0:
        result = "CAR ranks the teachers in the opposite order to AP"
    return f"{result}: rho {car['rho']:.2f} [{car['low']:.2f}, {car['high']:.2f}] over {car['n']} teachers."


def by_ap(pairs: pl.DataFrame) -> list[dict]:
    """The teachers of one base that have an AP, best first."""
    return pairs.drop_nulls("ap").sort("ap", "teacher", descending=[True, False]).to_dicts()


def tied_with_best(pairs: pl.DataFrame, margins: dict[tuple, float | None]) -> list[str]:
    """The teachers whose AP is not significantly lower than the highest one, best first.

    `margins`: half of the 95 % interval of the difference of two APs, by base and both teachers.
    """
    first, *rest = by_ap(pairs)
    gaps = {t["teacher"]: (first["ap"] - t["ap"], margins[t["base"], first["teacher"], t["teacher"]]) for t in rest}
    return [teacher for teacher, (gap, margin) in gaps.items() if margin is not None and gap <= margin]


def about_best(pairs: pl.DataFrame, margins: dict[tuple, float | None]) -> str:
    """The teacher with the highest AP, and those that it is tied with."""
    first, tied = by_ap(pairs)[0], tied_with_best(pairs, margins)
    best = f"The highest AP is that of {first['teacher']} ({first['ap']:.1f})"
    if not first["ap_se"]:
        return f"{best}; its standard error is not known."
    if not tied:
        return f"{best}."
    return f"{best}, but it is not significantly higher than that of {listed(tied)}."


def about_choice(pairs: pl.DataFrame) -> str:
    """The AP points that CAR's first choice loses against the teacher with the highest AP."""
    choice, best = pairs.sort("rank", "teacher").row(0, named=True), by_ap(pairs)[0]
    if choice["ap"] is None:
        result = "has no AP"
    elif choice["teacher"] == best["teacher"]:
        result = "has the highest AP"
    else:
        lost = best["ap"] - choice["ap"]
        result = f"is {lost:.1f} points of AP below it" if lost else "has the same AP"
    return f"CAR's first choice, {choice['teacher']}, {result}."


def about_runs(performance: pl.DataFrame) -> list[str]:
    """Whether the errors of a base's APs contain the seeds of training, and how far these move a student."""
    runs = performance["runs"].cast(pl.Int64).drop_nulls()
    if not runs.len():
        return []  # tables do not say how often the students of their scores were trained
    variance, freedom = variance_of_seeds(
        performance["runs"].to_list(), performance["seed_sd"].cast(pl.Float64).to_list()
    )
    if not freedom:
        return ["One run each: how far another seed of training would move a student is not known."]
    fewest, most = runs.filter(runs > 0).min(), runs.max()
    count = f"{most} runs each" if fewest == most else f"{fewest} to {most} runs each"
    return [f"{count}: seeds move a student by {variance**0.5:.1f} points of AP (standard deviation)."]


def about_instructions(pairs: pl.DataFrame) -> list[str]:
    """What else than the responses may be the reason of a difference, if each teacher has its own instructions."""
    fewest, most = pairs["n"].min(), pairs["n"].max()
    numbers = f"Their numbers differ too, from {fewest} to {most}, and with them the training." if fewest < most else ""
    return [INSTRUCTIONS_DIFFER, *filter(None, [numbers])]


def about_other_metrics(differences: pl.DataFrame) -> str:
    """The metrics that predict AP significantly better or worse than CAR."""
    metrics = {"better": [], "worse": []}
    for row in differences.filter(pl.col("p") < LEVEL).to_dicts():
        if "car" in (row["metric_a"], row["metric_b"]):
            other, sign = (row["metric_b"], -1) if row["metric_a"] == "car" else (row["metric_a"], 1)
            chance = "p < 0.001" if row["p"] < 0.001 else f"p = {row['p']:.3f}"
            metrics["better" if sign * row["difference"] > 0 else "worse"].append(f"{other} ({chance})")
    sentences = [
        f"{listed(names)} {'predicts' if len(names) == 1 else 'predict'} AP {how} than CAR."
        for how, names in metrics.items()
        if names
    ]
    return " ".join(sentences) or "No other metric differs significantly from CAR."


def listed(names: list[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", choices=["paired", "unpaired"], default="paired", help="`compare` of the config")
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--correlations", type=Path, required=True, help="CSV with rho of each metric")
    parser.add_argument("--differences", type=Path, required=True, help="CSV with the differences of metrics' rho")
    parser.add_argument("--ap-differences", type=Path, required=True, help="CSV with the errors of AP's differences")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
