"""What can and cannot be concluded of each base model, and of all of them on average, in words.

python -m scripts.correlations.draw_conclusions --teachers results/miniature/tables/teachers.csv \
    --performance results/miniature/tables/performance.csv --correlations results/miniature/tables/correlations.csv \
    --differences results/miniature/tables/differences.csv --output results/miniature/tables/conclusions.csv
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.correlations.pairs import join_pairs
from scripts.metrics.rank_statistics import ENOUGH_TEACHERS
from scripts.tables.files import read_csv, write_table

LEVEL = 0.05  # of the permutation test


def main():
    args = parse_args()
    performance, correlations, differences = map(read_csv, (args.performance, args.correlations, args.differences))
    pairs = join_pairs(read_csv(args.teachers), performance)
    rows = []
    for (base,), of_base in pairs.group_by("base", maintain_order=True):
        sentences = [*of_gaps(performance.filter(base=base)), *of_car(base, correlations, differences)]
        if of_base["ap"].count():
            sentences += [of_best(of_base), of_choice(of_base)]
        rows.append({"base": base, "conclusion": " ".join(sentences)})
    if len(rows) > 1:
        rows.append({"base": "average", "conclusion": " ".join(of_car("average", correlations, differences))})
    write_table(pl.DataFrame(rows), args.output)


def of_gaps(performance: pl.DataFrame) -> list[str]:
    """The teachers that this base has no AP with."""
    missing = sorted(performance.filter(pl.col("ap").is_null())["teacher"])
    return [f"There is no AP with {listed(missing)}: see performance.csv."] if missing else []


def of_car(base: str, correlations: pl.DataFrame, differences: pl.DataFrame) -> list[str]:
    """How well CAR predicts AP, alone and beside other metrics.

    The average is over the same teachers: more bases do not make few teachers more.
    """
    found = correlations.filter(base=base, metric="car").to_dicts()
    if not found:
        return ["No teacher has an AP that CAR could be held against."]
    car = found[0]
    sure = car["n"] >= ENOUGH_TEACHERS and car["rho"] is not None
    return [of_correlation(car), *([of_others(differences.filter(base=base))] if sure else [])]


def of_correlation(car: dict) -> str:
    """How well CAR predicts AP."""
    if car["rho"] is None:
        return f"CAR has no correlation with AP ({car['note']})."
    if car["n"] < ENOUGH_TEACHERS:
        return f"{car['n']} teachers are too few to tell how well CAR, or any metric, predicts AP."
    verb = "predicts AP" if car["low"] > 0 else "cannot be shown to predict AP"
    if car["high"] < 0:
        verb = "orders the teachers the wrong way round"
    return f"CAR {verb}: rho {car['rho']:.2f} [{car['low']:.2f}, {car['high']:.2f}] over {car['n']} teachers."


def by_ap(pairs: pl.DataFrame) -> list[dict]:
    """The teachers of one base that have an AP, the best first."""
    return pairs.drop_nulls("ap").sort("ap", "teacher", descending=[True, False]).to_dicts()


def of_best(pairs: pl.DataFrame) -> str:
    """The best teacher by AP, and which of the others cannot be told from it."""
    first, *others = by_ap(pairs)
    near = [o for o in others if first["ap"] - o["ap"] < 1.96 * (first["ap_se"] ** 2 + o["ap_se"] ** 2) ** 0.5]
    best = f"The best teacher by AP is {first['teacher']} ({first['ap']:.1f})"
    if not first["ap_se"]:
        return f"{best}; how sure its AP is, is not known."
    return f"{best}, not distinguishable from {listed([o['teacher'] for o in near])}." if near else f"{best}."


def of_choice(pairs: pl.DataFrame) -> str:
    """What taking CAR's first choice costs."""
    choice, best = pairs.sort("rank", "teacher").row(0, named=True), by_ap(pairs)[0]
    if choice["ap"] is None:
        cost = "has no AP"
    elif choice["teacher"] == best["teacher"]:
        cost = "is that teacher"
    else:
        lost = best["ap"] - choice["ap"]
        cost = f"loses {lost:.1f} points" if lost else "does as well"
    return f"CAR's first choice, {choice['teacher']}, {cost}."


def of_others(differences: pl.DataFrame) -> str:
    """Which metrics predict AP better or worse than CAR by more than chance."""
    told = {"better": [], "worse": []}
    for row in differences.filter(pl.col("p") < LEVEL).to_dicts():
        if "car" in (row["metric_a"], row["metric_b"]):
            other, sign = (row["metric_b"], -1) if row["metric_a"] == "car" else (row["metric_a"], 1)
            chance = "p < 0.001" if row["p"] < 0.001 else f"p = {row['p']:.3f}"
            told["better" if sign * row["difference"] > 0 else "worse"].append(f"{other} ({chance})")
    verbs = {how: "predicts" if len(names) == 1 else "predict" for how, names in told.items()}
    found = [f"{listed(names)} {verbs[how]} it {how}" for how, names in told.items() if names]
    return "; ".join(found) + "." if found else "No other metric can be told from it."


def listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the metrics of each base and teacher")
    parser.add_argument("--performance", type=Path, required=True, help="CSV with the AP of each base and teacher")
    parser.add_argument("--correlations", type=Path, required=True, help="CSV with rho of each metric")
    parser.add_argument("--differences", type=Path, required=True, help="CSV with the differences of metrics' rho")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base")
    return parser.parse_args()


if __name__ == "__main__":
    main()
