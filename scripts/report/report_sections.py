"""The sections of a report, from the tables: one for each base model, and one over all of them."""

import polars as pl

from scripts.configuration.config_engines import is_endpoint
from scripts.metrics.definitions import named_columns
from scripts.report.ceiling import ceiling_in_words
from scripts.report.parts import parts_in_words
from scripts.report.report_figures import figures_of_base, figures_of_car
from scripts.report.response_costs import costs_in_words, known_costs, with_dollars
from scripts.report.scores import sampled_in_words, scores_in_words
from scripts.report.seams import seams_in_words
from scripts.report.sensitivity import in_words
from scripts.report.size_steps import worse_steps


def about_base(base: str, tables: dict[str, pl.DataFrame], variants: dict) -> dict:
    """What the page shows of one base: its answer, its teachers and its figures."""
    teachers = tables["teachers"].filter(base=base)
    stability = tables["stability"].filter(base=base).drop("base", "car")
    rows = teachers.join(stability, on="teacher", how="left", maintain_order="left")
    rows = with_dollars(rows, tables.get("response_costs"))
    if "performance" in tables:
        rows = rows.join(tables["performance"].filter(base=base).select("teacher", "ap"), on="teacher", how="left")
    size = tables["sample_size"].filter(base=base).row(0, named=True)
    return {
        "name": base,
        "best": best(tables, base),
        "size": size,
        "sensitivity": in_words(tables["sensitivity"].filter(base=base)),
        "parts": parts_in_words(size),
        "scores": tables["scores"].filter(base=base).to_dicts(),
        "scores_in_words": scores_in_words(tables["scores"].filter(base=base)),
        "sampled": sampled_in_words(teachers.drop_nulls("rank")),
        "seams": seams_in_words(tables["seams"].filter(base=base)),
        "conclusion": conclusion(tables, base),
        "without_ap": without_ap(tables, base),
        "named": {name: heading(name) for name in named_columns(teachers)},
        "teachers": rows.to_dicts(),
        "figures": figures_of_base(tables, base, variants),
    }


def about_costs(tables: dict[str, pl.DataFrame]) -> dict | None:
    """Columns, rows and words of what the responses cost; None if nothing is known, as of imports."""
    costs = tables.get("response_costs")
    if costs is None or not costs["tokens_written"].count():
        return None
    known = known_costs(costs)
    return {"columns": known.columns[1:], "rows": known.to_dicts(), "words": costs_in_words(costs)}


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
        "ceiling": ceiling_in_words(correlations) if correlations.height else None,
        "differences": differences_of_car(differences),
        "figures_of_car": figures_of_car(settings, car) if settings.height else [],
    }


def best(tables: dict[str, pl.DataFrame], base: str) -> dict | None:
    """The teacher with the highest AP for a base (best) and those that it is tied with; None if no pair has an AP."""
    if "conclusions" not in tables:
        return None
    rows = tables["conclusions"].filter(pl.col("best").is_not_null(), base=base)
    return next(rows.iter_rows(named=True), None)


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


def heading(column: str) -> str:
    """A column with the name of a model as a heading: Reward (skywork) for reward:skywork, PPL (gpt2) for ppl:gpt2."""
    metric, _, model = column.partition(":")
    return f"{metric.upper() if metric in ('ppl', 'ifd') else metric.capitalize()} ({model})"


def variants_of(teachers: dict) -> dict[str, dict[str, tuple[float, float]]]:
    """Model to teacher to (temperature, top_p), for models that are several teachers."""
    found: dict[str, dict] = {}
    for name, teacher in teachers.items():
        if "model" in teacher and teacher.get("candidates", 1) == 1:
            temperature, top_p = teacher["sampling"]["temperature"], teacher["sampling"]["top_p"]
            if not is_endpoint(teacher):
                temperature, top_p = temperature or 0, top_p or 1
            if None not in (temperature, top_p):  # an endpoint does not say what its own defaults are
                found.setdefault(teacher["model"], {})[name] = (temperature, top_p)
    return {model: samplings for model, samplings in found.items() if len(set(samplings.values())) > 1}
