r"""What the pilots measured and what follows for the target, for each base, and what can be said of it in words.

python -m scripts.pilots.tabulate_pilots \
    --pilots '{"score": "gsm8k.accuracy", "target": 50000, "p_best": 0.9, "sizes": [250, 1000, 4000], "seeds": 2}' \
    --finetune '{"epochs": 2, "batch_size": 32, "warmup_steps": 100}' \
    --judgments results/mine/judgments/gsm8k/*/*@n*.parquet --scores results/mine/scores/gsm8k/*/*@n*.json \
    --output-pilots results/mine/tables/pilots.csv --output-curves results/mine/tables/pilot_curves.csv \
    --output-findings results/mine/tables/pilot_findings.csv

pilots.csv has a row for each base, teacher and size, `kind` measured: the mean `score` over `runs`, with its 95 %
interval over prompts and seeds; and a row for the target, `kind` predicted (curves.py): the mean and the 95 % interval
of the posterior, `p_best`, and for comparison `level`, the score at the teacher's largest size, and `line`, the
prediction of a straight line in log n. pilot_curves.csv has the posterior at further sizes, for the figure.
"""

import argparse
import json
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl

from scripts.correlations.ap_errors import margin
from scripts.pilots.about_pilots import about_base, about_training, is_settled
from scripts.pilots.crossings import crossings
from scripts.pilots.curves import Cells, Points, draw_curves, p_best
from scripts.pilots.further import further_pilots
from scripts.pilots.measured import Measured, read_pilots, read_score
from scripts.tables.files import write_table

BETWEEN = 3  # sizes between the largest one and the target at which the curves are drawn
SCHEMA = {"base": pl.String, "teacher": pl.String, "n": pl.Int64, "kind": pl.String, "score": pl.Float64}
SCHEMA |= {"low": pl.Float64, "high": pl.Float64, "runs": pl.Int64, "p_best": pl.Float64}
SCHEMA |= {"level": pl.Float64, "line": pl.Float64}
CURVE = {"base": pl.String, "teacher": pl.String, "n": pl.Int64, "score": pl.Float64}
CURVE |= {"low": pl.Float64, "high": pl.Float64}


def main():
    args = parse_args()
    settings, rows, curves = args.pilots, [], []
    findings = [("", sentence) for sentence in about_training(settings, args.finetune)]
    files = sorted((read_score(scores)["base"], judgments, scores) for judgments, scores in pairs_of(args))
    for base, group in groupby(files, key=lambda file: file[0]):
        _, judgments, scores = zip(*group, strict=True)
        measured = read_pilots(judgments, scores, settings["score"])
        sizes = sizes_of_curves(measured.cells.size, settings["target"])
        drawn = draw_at(measured, sizes, settings["target"])
        predicted = predicted_rows(measured, drawn[:, -1], settings["target"])
        rows += [{"base": base, **row} for row in [*measured_rows(measured), *predicted]]
        curves += [{"base": base, **row} for row in curve_rows(measured.teachers, drawn, sizes)]
        chances = p_best(drawn[:, -1])
        settled = is_settled(measured.cells, drawn[:, -1], settings)
        further = [] if settled else further_pilots(measured.cells, chances, settings["target"], settings["seeds"])
        sentences = about_base(measured, drawn[:, -1], crossings(drawn, sizes), further, predicted, settings)
        findings += [(base, sentence) for sentence in sentences]
    write_table(pl.DataFrame(rows, schema=SCHEMA), args.output_pilots)
    write_table(pl.DataFrame(curves, schema=CURVE), args.output_curves)
    found = pl.DataFrame(findings, schema={"base": pl.String, "finding": pl.String}, orient="row")
    write_table(found, args.output_findings)
    print("\n".join(f"{base}: {sentence}" if base else sentence for base, sentence in findings))


def pairs_of(args: argparse.Namespace) -> list[tuple[Path, Path]]:
    return list(zip(args.judgments, args.scores, strict=True))


def sizes_of_curves(measured: np.ndarray, target: int) -> np.ndarray:
    """The sizes of the pilots, a few up to the target, and the target."""
    between = np.geomspace(measured.max(), target, BETWEEN + 2).round()
    return np.unique(np.concatenate([measured, between]))


def draw_at(measured: Measured, sizes: np.ndarray, target: int) -> np.ndarray:
    """Draws (draws, sizes, teachers) of the scores."""
    n = len(measured.teachers)
    points = Points(np.tile(np.arange(n), len(sizes)), np.repeat(sizes, n))
    return draw_curves(measured.cells, points, target).reshape(-1, len(sizes), n)


def measured_rows(measured: Measured) -> list[dict]:
    cells, rows = measured.cells, []
    for i, teacher in enumerate(cells.teacher):
        half = margin(cells.prompts[i, i], cells.seeds / cells.runs[i], cells.freedom)
        row = {"teacher": measured.teachers[teacher], "n": int(cells.size[i]), "kind": "measured"}
        row |= {"score": cells.mean[i], "low": cells.mean[i] - half, "high": cells.mean[i] + half}
        rows.append(row | {"runs": int(cells.runs[i])})
    return rows


def predicted_rows(measured: Measured, drawn: np.ndarray, target: int) -> list[dict]:
    """A row for each teacher, from draws (draws, teachers) of the scores at the target."""
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    rows, chances = [], p_best(drawn)
    for i, teacher in enumerate(measured.teachers):
        level, line = level_and_line(measured.cells.some(measured.cells.teacher == i), target)
        row = {"teacher": teacher, "n": target, "kind": "predicted", "score": drawn[:, i].mean()}
        row |= {"low": low[i], "high": high[i], "p_best": chances[i], "level": level, "line": line}
        rows.append(row)
    return rows


def level_and_line(cells: Cells, target: int) -> tuple[float, float | None]:
    """The score of one teacher at its largest size, and that of a straight line in log n at the target."""
    level = float(cells.mean[cells.size.argmax()])
    if len(cells.size) < 2:
        return level, None
    return level, float(np.polyval(np.polyfit(np.log(cells.size), cells.mean, 1), np.log(target)))


def curve_rows(teachers: list[str], drawn: np.ndarray, sizes: np.ndarray) -> list[dict]:
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    means = drawn.mean(0)
    return [
        {"teacher": name, "n": int(size), "score": means[k, i], "low": low[k, i], "high": high[k, i]}
        for i, name in enumerate(teachers)
        for k, size in enumerate(sizes)
    ]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilots", type=json.loads, required=True, help="score, target, p_best, sizes, seeds as JSON")
    parser.add_argument("--finetune", type=json.loads, required=True, help="epochs, batch_size, warmup_steps as JSON")
    parser.add_argument("--judgments", type=Path, nargs="+", required=True, help="parquet, one per pilot")
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="JSON, one per pilot, in the same order")
    parser.add_argument("--output-pilots", type=Path, required=True, help="CSV")
    parser.add_argument("--output-curves", type=Path, required=True, help="CSV")
    parser.add_argument("--output-findings", type=Path, required=True, help="CSV of sentences")
    return parser.parse_args()


if __name__ == "__main__":
    main()
