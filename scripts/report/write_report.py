"""Write a study's report: one page that needs nothing else, the answer first.

python -m scripts.report.write_report --study miniature --config results/miniature/config.yaml \
    --tables results/miniature/tables/*.csv --metrics results/miniature/metrics/*/*.parquet \
    --instructions results/miniature/instructions.parquet --responses results/miniature/responses/*.parquet \
    --set-aside results/miniature/set_aside/instructions.parquet --spent results/miniature/spent_usd.txt \
    --timings results/miniature/timings --output results/miniature/report.html

Every number is one of the tables, whole in the attribute `value` and rounded in the text. Texts of models are data:
the template escapes all of them, and the page forbids itself scripts and requests.
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
from scripts.tables.files import read_csv, write_text


def main():
    args = parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    tables = {path.stem: read_csv(path) for path in args.tables}
    variants = variants_of(config["teachers"])
    page = environment().get_template("report.html.jinja")
    text = page.render(
        study=args.study,
        judged="correlations" in tables,
        bases=[about_base(base, tables, variants) for base in tables["sample_size"]["base"]],
        average=sentence(tables, "average"),
        steps=tables.get("size_steps", pl.DataFrame()).to_dicts(),
        correlations=correlations_by_metric(tables["correlations"]) if "correlations" in tables else [],
        differences=differences_of_car(tables["differences"]) if "differences" in tables else [],
        of_metrics=figures_of_metrics(tables),
        of_car=figures_of_car(tables["car"], config["car"]) if tables.get("car", pl.DataFrame()).height else [],
        reasons=reasons_of(args.metrics, args.set_aside),
        samples=samples(args.instructions, args.responses, tables["teachers"]),
        models=models_of(config),
        costs=costs(args.timings),
        spent=args.spent.read_text(encoding="utf-8").strip() if args.spent.exists() else None,
        config=args.config.read_text(encoding="utf-8"),
        versions=versions(),
        commit=git_commit(Path(__file__).parent),
        car=config["car"],
    )
    write_text(text, args.output)
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB")


def environment() -> Environment:
    """Jinja with everything escaped that is not marked as markup, and an error for a name it does not know."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["svg"] = Markup  # drawn here, of names and numbers
    made.globals |= {"number": number, "percent": percent}
    return made


def number(value: float | None, digits: int = 3) -> str:
    """The rounded number, with the whole one in its markup; a dash for none."""
    if value is None:
        return Markup("<span class=none>–</span>")
    shown = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return Markup('<data value="{}">{}</data>').format(repr(value), shown.replace("-", "−"))


def percent(share: float | None) -> str:
    """A share of 1, in percent."""
    return number(None) if share is None else number(100 * share, 1) + " %"


def about_base(base: str, tables: dict[str, pl.DataFrame], variants: dict) -> dict:
    """What the page tells of one base: its answer, its teachers and its figures."""
    teachers = tables["teachers"].filter(base=base)
    sure = tables["stability"].filter(base=base).drop("base", "car")
    rows = teachers.join(sure, on="teacher", how="left", maintain_order="left")
    if "performance" in tables:
        rows = rows.join(tables["performance"].filter(base=base).select("teacher", "ap"), on="teacher", how="left")
    judged = rows.filter(pl.col("rank").is_not_null() & pl.col("ap").is_not_null()) if "ap" in rows.columns else None
    size = tables["sample_size"].filter(base=base).row(0, named=True)
    return {
        "name": base,
        "learned": judged.sort("ap", "teacher", descending=[True, False]).row(0, named=True)
        if judged is not None and judged.height
        else None,
        "size": size,
        "sensitivity": in_words(tables["sensitivity"].filter(base=base), size["first"]),
        "conclusion": sentence(tables, base),
        "gaps": gaps(tables, base),
        "named": named_columns(teachers),
        "teachers": rows.to_dicts(),
        "figures": figures_of_base(tables, base, variants),
    }


def gaps(tables: dict[str, pl.DataFrame], base: str) -> list[str]:
    """The teachers that were to have an AP for a base, and have none."""
    if "performance" not in tables:
        return []
    return sorted(tables["performance"].filter(pl.col("ap").is_null(), base=base)["teacher"])


def sentence(tables: dict[str, pl.DataFrame], base: str) -> str | None:
    """The conclusion about a base, or about the average; None where nothing was judged."""
    if "conclusions" not in tables:
        return None
    return next(iter(tables["conclusions"].filter(base=base)["conclusion"]), None)


def differences_of_car(differences: pl.DataFrame) -> list[dict]:
    """CAR against each other metric, on average over bases where there are several."""
    if differences.is_empty():
        return []
    of = "average" if "average" in differences["base"] else differences["base"].first()
    return differences.filter((pl.col("metric_a") == "car") & (pl.col("base") == of)).to_dicts()


def correlations_by_metric(correlations: pl.DataFrame) -> list[dict]:
    """A row per metric, in the table's order: name, direction, and a row of correlations per base, the average last."""
    marked = correlations.with_columns(best=(pl.col("rho") == pl.col("rho").max().over("base")).fill_null(False))
    grouped = marked.group_by("metric", maintain_order=True)
    return [{"metric": metric, "better": part["better"][0], "cells": part.to_dicts()} for (metric,), part in grouped]


def variants_of(teachers: dict) -> dict[str, dict[str, tuple[float, float]]]:
    """temperature and top_p of the teachers that are one model, for models with several of them."""
    found: dict[str, dict] = {}
    for name, teacher in teachers.items():
        if "model" in teacher and teacher.get("candidates", 1) == 1:
            how = teacher["sampling"]
            found.setdefault(teacher["model"], {})[name] = (how["temperature"], how["top_p"])
    return {model: names for model, names in found.items() if len(set(names.values())) > 1}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--config", type=Path, required=True, help="the study's configuration with its defaults")
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help="CSV; those of judged pairs may be missing"
    )
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per ranked teacher")
    parser.add_argument("--set-aside", type=Path, required=True, help="parquet of instructions that were not used")
    parser.add_argument("--spent", type=Path, required=True, help="file of the dollars spent, if there is one")
    parser.add_argument("--timings", type=Path, required=True, help="folder of Snakemake's benchmark files")
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
