"""Steps from one size of a family of teachers to the next larger one."""

from itertools import groupby, pairwise, product

import polars as pl

SCHEMA = {"base": pl.String, "family": pl.String, "smaller": pl.String, "larger": pl.String}
SCHEMA |= {"difference": pl.Float64, "se": pl.Float64, "inverted": pl.Boolean}


def size_steps(performance: pl.DataFrame, teachers: dict[str, dict]) -> list[dict]:
    """A row per base and step.

    `performance` has base, teacher, ap and ap_se; `teachers` has the family and the parameters of each.
    """
    families: dict[str, list[str]] = {}
    for name, entry in sorted(teachers.items(), key=lambda item: item[1]["parameters"] or 0):
        if entry["family"] and entry["parameters"]:
            families.setdefault(entry["family"], []).append(name)
    steps = [(family, *step) for family, names in sorted(families.items()) for step in steps_of(names, teachers)]
    rows = []
    for (base,), of_base in performance.group_by("base", maintain_order=True):
        ap = {teacher: (value, se) for teacher, value, se in of_base.select("teacher", "ap", "ap_se").iter_rows()}
        for family, smaller, larger in steps:
            if ap[larger][0] is None or ap[smaller][0] is None:
                continue
            difference = ap[larger][0] - ap[smaller][0]
            step = {"base": base, "family": family, "smaller": smaller, "larger": larger, "difference": difference}
            se = (ap[larger][1] ** 2 + ap[smaller][1] ** 2) ** 0.5
            rows.append(step | {"se": se or None, "inverted": difference < 0})
    return rows


def steps_of(names: list[str], teachers: dict[str, dict]) -> list[tuple[str, str]]:
    """Each teacher with each teacher of the next larger size; `names` are sorted by size.

    Several samplings of one model have the same size, so there is no step between them.
    """
    sizes = [list(group) for _, group in groupby(names, key=lambda name: teachers[name]["parameters"])]
    return [step for smaller, larger in pairwise(sizes) for step in product(smaller, larger)]
