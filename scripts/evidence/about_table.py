"""What one table says, in sentences."""

import polars as pl

from scripts.evidence.wording import chance, counted, limits, listed

LEVEL = 0.05  # of the permutation test


def about_table(name: str, facts: dict, tables: dict[str, pl.DataFrame], summary: pl.DataFrame) -> list[str]:
    """What one table says."""
    rows = summary.sort("rho", descending=True).to_dicts()
    if not rows:
        return ["No metric has a rho: see the notes in correlations.csv."]
    sure = [row for row in rows if row["low"] is not None]
    sentences = about_sure(sure) if sure else about_unsure(rows)
    sentences += about_noise(tables["correlations"].filter(table=name))
    sentences += about_tests(tables["differences"].filter(table=name))
    parts = {part: tables["summary"].filter(table=name, part=part) for part in facts.get("parts", {})}
    sentences += [about_part(part, of_part) for part, of_part in parts.items() if of_part.height]
    return [*sentences, *about_winners(tables["winners"].filter(table=name))]


def about_part(part: str, summary: pl.DataFrame) -> str:
    """The first metrics of a part of the table, and CAR and the loss."""
    rows = summary.sort("rho", descending=True).to_dicts()
    rows = rows[:3] + [row for row in rows[3:] if row["metric"] in ("car", "loss", "ppl_self")]
    number = counted(summary["n_max"].max(), "teacher")
    small = "" if rows[0]["low"] is not None else ", too few to conclude anything"
    return f"{part.capitalize()} ({number}{small}): {', '.join(map(in_words, rows))}."


def about_sure(rows: list[dict]) -> list[str]:
    """Metrics whose mean rho has an interval, by where it is."""
    places = {
        "Interval above 0": [row for row in rows if row["low"] > 0],
        "Interval below 0": [row for row in rows if row["high"] < 0],
        "Interval includes 0": [row for row in rows if row["low"] <= 0 <= row["high"]],
    }
    sentences = [f"{place}: {', '.join(in_words(row) for row in found)}." for place, found in places.items() if found]
    if rows[0]["over"] == "tasks":
        sentences.append("The intervals are about other tasks with these teachers, not about other teachers.")
    return sentences


def about_unsure(rows: list[dict]) -> list[str]:
    """A table without any interval."""
    teachers = sorted({n for row in rows for n in (row["n"], row["n_max"])})
    number = str(teachers[-1]) if len(teachers) == 1 else f"{teachers[0]} to {teachers[-1]}"
    first, last = rows[0], rows[-1]
    return [
        f"With {number} teachers it is too small to conclude anything about other teachers. On these the mean rho is "
        f"from {last['rho']:.2f} ({last['metric']}) to {first['rho']:.2f} ({first['metric']})."
    ]


def about_noise(correlations: pl.DataFrame) -> list[str]:
    """How far the errors of AP limit rho, where they are known."""
    ceilings = correlations.drop_nulls("ceiling").group_by("task", "base").agg(pl.col("ceiling").first())["ceiling"]
    if ceilings.is_empty():
        return []
    total = correlations.select("task", "base").n_unique()
    return [
        f"The errors of AP, known for {len(ceilings)} of {counted(total, 'group')} and taken as independent, limit rho "
        f"there to {ceilings.mean():.2f} on average."
    ]


def about_tests(differences: pl.DataFrame) -> list[str]:
    """The pairs of metrics that differ, and how many were compared."""
    if differences.is_empty():
        return []
    differ = differences.filter((pl.col("p") < LEVEL) | (pl.col("p").is_null() & (pl.col("low") * pl.col("high") > 0)))
    above: dict[str, list[str]] = {}
    for row in differ.to_dicts():
        a, b = (row["metric_a"], row["metric_b"]) if row["difference"] > 0 else (row["metric_b"], row["metric_a"])
        above.setdefault(a, []).append(f"{b}{chance(row)}")
    found = "; ".join(f"{metric} is above {listed(others)}" for metric, others in above.items())
    by_chance = f"; {LEVEL * differences.height:.0f} would by chance" if differences.height > 9 else ""
    start = "Comparisons with CAR, with the loss or perplexity and with transfer that show a difference"
    end = f". {found[0].upper()}{found[1:]}" if found else ""
    return [f"{start}: {differ.height} of {differences.height}{by_chance}{end}."]


def about_winners(winners: pl.DataFrame) -> list[str]:
    """Whether the best teacher depends on the base model, for the tasks with several of them."""
    several = winners.filter(pl.col("n_bases") > 1)
    tasks = [(task, rows) for (task,), rows in several.group_by("task", maintain_order=True)]
    if len(tasks) > 3:
        same = sum((rows["best_for"] == rows["n_bases"]).any() for _, rows in tasks)
        return [f"One teacher is the best for all base models in {same} of {len(tasks)} tasks."]
    return [best_teachers(task, rows) for task, rows in tasks]


def best_teachers(task: str, winners: pl.DataFrame) -> str:
    """For how many base models each teacher of one task is the best."""
    best = winners.filter(pl.col("best_for") > 0).sort("best_for", descending=True).to_dicts()
    ties = ", ties counted for each" if sum(row["best_for"] for row in best) > best[0]["n_bases"] else ""
    counts = listed([f"{row['teacher']} for {row['best_for']}" for row in best])
    return f"Best teacher of {best[0]['n_bases']} base models{' (' + task + ')' if task else ''}{ties}: {counts}."


def in_words(row: dict) -> str:
    return f"{row['metric']} {row['rho']:.2f}{limits(row, ' ')}"
