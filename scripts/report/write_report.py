"""Write the report of a study: one HTML file without external files or scripts, the answer first.

python -m scripts.report.write_report --study miniature --config results/miniature/config.yaml \
    --tables results/miniature/tables/*.csv --metrics results/miniature/metrics/*/*.parquet \
    --instructions results/miniature/instructions.parquet --responses results/miniature/responses/*.parquet \
    --set-aside results/miniature/set_aside/instructions.parquet --spent results/miniature/spent_usd.txt \
    --timings results/miniature/timings --output results/miniature/report.html

Every number on the page is from the tables: exact in the attribute `value`, rounded in the text. Texts by models are
data: the template escapes them, and the page's security policy forbids scripts and requests.
"""

import argparse
from pathlib import Path

import polars as pl
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scripts.metrics.definitions import named_columns
from scripts.report.report_figures import figures_of_base, figures_of_car, figures_of_metrics
from scripts.report.report_provenance import costs, git_commit, models_of, versions
from scripts.report.report_rows import reasons_of, samples
from scripts.report.sensitivity import in_words
from scripts.report.size_steps import worse_steps
from scripts.tables.files import read_csv, write_text


def main():
    args = parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    tables = {path.stem: read_csv(path) for path in args.tables}
    variants = variants_of(config["teachers"])
    page = environment().get_template("report.html.jinja")
    text = page.render(
        study=args.study,
        car=config["car"],
        bases=[about_base(base, tables, variants) for base in tables["sample_size"]["base"]],
        samples=samples(args.instructions, args.responses, tables["teachers"]),
        reasons=reasons_of(args.metrics, args.set_aside),
        figures_of_metrics=figures_of_metrics(tables),
        **about_judged_pairs(tables, config["car"]),
        models=models_of(config),
        costs=costs(args.timings),
        spent=args.spent.read_text(encoding="utf-8").strip() if args.spent.exists() else None,
        config=args.config.read_text(encoding="utf-8"),
        versions=versions(),
        commit=git_commit(Path(__file__).parent),
    )
    write_text(text, args.output)
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB")


def environment() -> Environment:
    """Jinja that escapes everything except markup, and fails for an undefined name."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["svg"] = Markup  # drawn by this workflow
    jinja.globals |= {"number": number, "percent": percent}
    return jinja


def number(value: float | None, digits: int = 3) -> str:
    """The rounded number, with the exact one in its markup; a dash for None."""
    if value is None:
        return Markup("<span class=none>–</span>")
    rounded = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return Markup('<data value="{}">{}</data>').format(repr(value), rounded.replace("-", "−"))


def percent(share: float | None) -> str:
    """A share between 0 and 1 in percent."""
    return number(None) if share is None else number(100 * share, 1) + " %"


def about_base(base: str, tables: dict[str, pl.DataFrame], variants: dict) -> dict:
    """What the page shows of one base: its answer, its teachers and its figures."""
    teachers = tables["teachers"].filter(base=base)
    stability = tables["stability"].filter(base=base).drop("base", "car")
    rows = teachers.join(stability, on="teacher", how="left", maintain_order="left")
    if "performance" in tables:
        rows = rows.join(tables["performance"].filter(base=base).select("teacher", "ap"), on="teacher", how="left")
    size = tables["sample_size"].filter(base=base).row(0, named=True)
    return {
        "name": base,
        "learned": best_by_ap(rows),
        "size": size,
        "sensitivity": in_words(tables["sensitivity"].filter(base=base), size["first"]),
        "conclusion": conclusion(tables, base),
        "without_ap": without_ap(tables, base),
        "named": named_columns(teachers),
        "teachers": rows.to_dicts(),
        "figures": figures_of_base(tables, base, variants),
    }


def about_judged_pairs(tables: dict[str, pl.DataFrame], car: dict) -> dict:
    """What the page shows over all bases; empty lists and None for a ranking without judged pairs."""
    correlations, differences, settings, steps = (
        tables.get(name, pl.DataFrame()) for name in ("correlations", "differences", "car", "size_steps")
    )
    return {
        "judged": "correlations" in tables,
        "average": conclusion(tables, "average"),
        "steps": worse_steps(steps),
        "correlations": correlations_by_metric(correlations) if correlations.height else [],
        "differences": differences_of_car(differences),
        "figures_of_car": figures_of_car(settings, car) if settings.height else [],
    }


def best_by_ap(rows: pl.DataFrame) -> dict | None:
    """The ranked teacher of one base with the highest AP; None if no pair has one."""
    if "ap" not in rows.columns:
        return None
    judged = rows.filter(pl.col("rank").is_not_null() & pl.col("ap").is_not_null())
    return next(judged.sort("ap", "teacher", descending=[True, False]).iter_rows(named=True), None)


def without_ap(tables: dict[str, pl.DataFrame], base: str) -> list[str]:
    """Teachers whose pair with a base has a row in performance.csv but no AP."""
    if "performance" not in tables:
        return []
    return sorted(tables["performance"].filter(pl.col("ap").is_null(), base=base)["teacher"])


def conclusion(tables: dict[str, pl.DataFrame], base: str) -> str | None:
    """The conclusion about a base, or about the average; None if no pair was judged."""
    if "conclusions" not in tables:
        return None
    return next(iter(tables["conclusions"].filter(base=base)["conclusion"]), None)


def differences_of_car(differences: pl.DataFrame) -> list[dict]:
    """CAR compared with each other metric: on average over bases, or for the only base."""
    if differences.is_empty():
        return []
    base = "average" if "average" in differences["base"] else differences["base"].first()
    return differences.filter(metric_a="car", base=base).to_dicts()


def correlations_by_metric(correlations: pl.DataFrame) -> list[dict]:
    """One entry per metric, in the table's order: its name, direction, and a cell per base, the average last."""
    marked = correlations.with_columns(best=(pl.col("rho") == pl.col("rho").max().over("base")).fill_null(False))
    grouped = marked.group_by("metric", maintain_order=True)
    return [{"metric": metric, "better": part["better"][0], "cells": part.to_dicts()} for (metric,), part in grouped]


def variants_of(teachers: dict) -> dict[str, dict[str, tuple[float, float]]]:
    """Model to teacher to (temperature, top_p), for models that are several teachers."""
    found: dict[str, dict] = {}
    for name, teacher in teachers.items():
        if "model" in teacher and teacher.get("candidates", 1) == 1:
            sampling = teacher["sampling"]
            found.setdefault(teacher["model"], {})[name] = (sampling["temperature"], sampling["top_p"])
    return {model: samplings for model, samplings in found.items() if len(set(samplings.values())) > 1}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--config", type=Path, required=True, help="the study's configuration with its defaults")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSV; for a ranking without those of AP")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per ranked teacher")
    parser.add_argument("--set-aside", type=Path, required=True, help="parquet of unused instructions")
    parser.add_argument("--spent", type=Path, required=True, help="file with the dollars spent; may not exist")
    parser.add_argument("--timings", type=Path, required=True, help="folder of Snakemake's benchmark files")
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
