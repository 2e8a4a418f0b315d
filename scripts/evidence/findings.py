"""What the public tables say, in sentences: of all tables, of each metric, of each table."""

import polars as pl

from scripts.evidence.about_table import about_noise, about_table
from scripts.evidence.table_parts import NEGATIVE, POSITIVE
from scripts.evidence.wording import chance, counted, limits, listed, shown

CLEAR = 0.3  # a rho that is further from 0 is called a direction


def findings_of(facts: dict[str, dict], tables: dict[str, pl.DataFrame]) -> list[dict]:
    """Rows with `about` (all, metric or table), `name` and `finding`. `facts`: name of a table to its YAML file."""
    titles = {name: of_table["title"] for name, of_table in facts.items()}
    whole = tables["summary"].filter(pl.col("part").is_null())
    found = [("all", None, sentence) for sentence in about_all(facts, titles, tables, whole)]
    for (metric,), rows in whole.group_by("metric", maintain_order=True):
        if rows["table"].n_unique() > 1:
            found.append(("metric", metric, about_metric(rows.to_dicts(), titles)))
    for name, of_table in facts.items():
        sentences = about_table(name, of_table, tables, whole.filter(table=name))
        found += [("table", name, sentence) for sentence in sentences]
    return [dict(zip(("about", "name", "finding"), row, strict=True)) for row in found]


def about_all(facts: dict, titles: dict, tables: dict[str, pl.DataFrame], whole: pl.DataFrame) -> list[str]:
    """The findings over all tables."""
    sure = whole.drop_nulls("low")
    enough = sure["table"].unique(maintain_order=True).to_list()
    groups = tables["correlations"].select("table", "task", "base").n_unique()
    nowhere = [name for name in enough if not (sure.filter(table=name)["low"] > 0).any()]
    sentences = [
        f"{counted(len(facts), 'public table')} with {counted(groups, 'group')} of teachers (one base model and task "
        f"each); large enough to conclude something: {listed([titles[name] for name in enough])}.",
        *highest("Highest mean rho", sure, titles),
        *highest("Without any fine-tuning", sure.filter(pl.col("metric") != "transfer"), titles),
        *[about_nowhere(titles[name], tables["correlations"].filter(table=name)) for name in nowhere],
    ]
    sentences += about_parts_of_car(facts, titles, tables)
    signs = tables["summary"].filter(pl.col("table").is_in(enough), pl.col("part").is_in([NEGATIVE, POSITIVE]))
    return [*sentences, *about_signs(titles, signs), *about_contradictions(titles, whole)]


def highest(start: str, sure: pl.DataFrame, titles: dict[str, str]) -> list[str]:
    """For each table the metric with the highest mean rho, if its interval is above 0, and how many are close."""
    found = []
    for (name,), rows in sure.sort("rho", descending=True).group_by("table", maintain_order=True):
        first, *others = rows.to_dicts()
        close = sum(row["rho"] >= first["low"] for row in others)
        if first["low"] > 0:
            more = f", with {counted(close, 'other metric')} in its interval" if close else ""
            found.append(f"on {titles[name]} {first['metric']}, {first['rho']:.2f}{limits(first, ' ')}{more}")
    return [f"{start}: {'; '.join(found)}."] if found else []


def about_nowhere(title: str, correlations: pl.DataFrame) -> str:
    """A table on which no metric predicts AP, and whether its errors are a reason."""
    return " ".join([f"No metric has an interval above 0 on {title}.", *about_noise(correlations)])


def about_parts_of_car(facts: dict, titles: dict, tables: dict[str, pl.DataFrame]) -> list[str]:
    """Whether CAR predicts better than the reward alone and the loss alone, where a table allows to compare them."""
    sentences = []
    for name, of_table in facts.items():
        parts = of_table.get("combine", {})
        rows = tables["differences"].filter(pl.col("metric_b").is_in(list(parts.values())), table=name, metric_a="car")
        shown_rows = [
            f"{row['metric_b']} {row['difference']:+.2f} {limits(row)}{chance(row)}" for row in rows.to_dicts()
        ]
        if shown_rows:
            sentences.append(f"On {titles[name]} the mean rho of CAR minus that of its parts: {listed(shown_rows)}.")
    return sentences


def about_signs(titles: dict, signs: pl.DataFrame) -> list[str]:
    """CAR where some mean rewards are below zero, and where none is."""
    sentences = []
    for (name,), rows in signs.filter(metric="car").group_by("table", maintain_order=True):
        parts = [
            f"{row['rho']:.2f}{limits(row, ' ')} with {row['part']} ({row['n_groups']} groups"
            f"{'' if row['over'] else ', too few tasks for an interval'})"
            for row in rows.to_dicts()
        ]
        sentences.append(f"On {titles[name]} CAR has a mean rho of {listed(parts)}.")
    return sentences


def about_contradictions(titles: dict, whole: pl.DataFrame) -> list[str]:
    """Metrics that order the teachers of one table as AP does, and those of another one the other way round."""
    sentences = []
    for (metric,), rows in whole.group_by("metric", maintain_order=True):
        low, high = rows.sort("rho")[[0, -1]].to_dicts()
        if low["rho"] < -CLEAR and high["rho"] > CLEAR:
            unsure = [titles[row["table"]] for row in (low, high) if row["low"] is None]
            end = f"; too few teachers to conclude anything from {listed(unsure)}" if unsure else ""
            sentences.append(f"Tables contradict each other about {metric}: {shown([high, low], titles)}{end}.")
    return sentences


def about_metric(rows: list[dict], titles: dict[str, str]) -> str:
    """What all tables say of one metric: those with an interval by its place, the others as too small."""
    sure = [row for row in rows if row["low"] is not None]
    groups = {
        "interval above 0": [row for row in sure if row["low"] > 0],
        "interval below 0": [row for row in sure if row["high"] < 0],
        "interval includes 0": [row for row in sure if row["low"] <= 0 <= row["high"]],
        "no interval": [row for row in rows if row["low"] is None],
    }
    found = "; ".join(f"{where}: {shown(of_place, titles)}" for where, of_place in groups.items() if of_place)
    return f"Mean rho of {rows[0]['metric']}, {found}."
