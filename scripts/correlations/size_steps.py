"""Steps from one size of a family of teachers to the next larger one."""

from itertools import groupby, pairwise, product

import polars as pl

SCHEMA = {"base": pl.String, "family": pl.String, "smaller": pl.String, "larger": pl.String}
SCHEMA |= {"difference": pl.Float64, "se": pl.Float64, "inverted": pl.Boolean}


def size_steps(performance: pl.DataFrame, teachers: dict[str, dict], errors: dict[tuple, float | None]) -> list[dict]:
    """A row per base and step.

    `performance` has base, teacher and ap; `teachers` has the family and the parameters of each; `errors` has the
    standard error of the difference of two APs by base and both teachers, where it is known.
    """
    families: dict[str, list[str]] = {}
    for name, entry in sorted(teachers.items(), key=lambda item: item[1]["parameters"] or 0):
        if entry["family"] and entry["parameters"]:
            families.setdefault(entry["family"], []).append(name)
    steps = [(family, *step) for family, names in sorted(families.items()) for step in steps_of(names, teachers)]
    rows = []
    for (base,), of_base in performance.group_by("base", maintain_order=True):
        ap = dict(of_base.select("teacher", "ap").iter_rows())
        for family, smaller, larger in steps:
            if ap[larger] is None or ap[smaller] is None:
                continue
            difference = ap[larger] - ap[smaller]
            step = {"base": base, "family": family, "smaller": smaller, "larger": larger, "difference": difference}
            rows.append(step | {"se": errors.get((base, larger, smaller)), "inverted": difference < 0})
    return rows


def steps_of(names: list[str], teachers: dict[str, dict]) -> list[tuple[str, str]]:
    """Each teacher with each teacher of the next larger size; `names` are sorted by size.

    Several samplings of one model have the same size, so there is no step between them.
    """
    sizes = [list(group) for _, group in groupby(names, key=lambda name: teachers[name]["parameters"])]
    return [step for smaller, larger in pairwise(sizes) for step in product(smaller, larger)]
