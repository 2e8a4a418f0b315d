"""Public tables of teachers and base models: a YAML file that says what the table is, and its CSV.

The CSV has a row per base, teacher and, if there are several, task: its average performance `ap`, where known its
standard error `ap_se`, and a column for each metric. docs/evidence.md explains the keys of the YAML file.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from scripts.metrics.definitions import METRICS, better
from scripts.tables.files import NAME_COLUMNS

REQUIRED = ("title", "source", "license", "setting", "unit", "trust", "metrics")
OPTIONAL = ("remarks", "scores", "ap", "teachers", "printed", "combine", "parts")
PARTS = ({"without_teachers"}, {"tasks"})
TRUST = ("good", "fair", "weak")
GROUP = ("task", "base")  # a rho is computed over the teachers of one base and task


class Evidence(NamedTuple):
    name: str
    facts: dict  # the YAML file
    pairs: pl.DataFrame  # task, base, teacher, ap, ap_se, and the metrics, null where a value is not known
    directions: dict[str, str]  # metric to higher or lower, whichever is better


def read_facts(path: Path) -> dict:
    """The YAML file of a table. Exits with a line for each problem."""
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SystemExit(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if problems := wrong_facts(facts):
        raise SystemExit("\n".join(f"{path}: {problem}" for problem in problems))
    return facts


def evidence_files(paths: list[str]) -> list[str]:
    """These YAML files, and the files of figures that they name."""
    found = list(paths)
    for path in map(Path, paths):
        facts = read_facts(path)
        found += [str(scores_of(path, facts)), *(facts[key] for key in ("teachers", "printed") if key in facts)]
    return found


def scores_of(path: Path, facts: dict) -> Path:
    """The CSV of a YAML file."""
    return Path(facts.get("scores", path.with_suffix(".csv")))


def read_evidence(path: Path) -> Evidence:
    """Read a table. Exits with a line for each problem."""
    facts = read_facts(path)
    scores = scores_of(path, facts)
    table = pl.read_csv(
        scores, infer_schema_length=None, schema_overrides={name: pl.String for name in (*NAME_COLUMNS, "task")}
    )
    table = with_facts_of_teachers(table, facts)
    directions = {name: metric["better"] for name, metric in facts["metrics"].items()}
    ap = facts.get("ap", ["ap"])
    if problems := wrong_table(table, ap, list(directions)):
        raise SystemExit("\n".join(f"{scores}: {problem}" for problem in problems))
    task = pl.col("task") if "task" in table.columns else pl.lit("").alias("task")
    error = pl.col("ap_se").cast(pl.Float64) if "ap_se" in table.columns else pl.lit(0.0)
    mean = pl.mean_horizontal(pl.col(ap).cast(pl.Float64), ignore_nulls=False).alias("ap")
    metrics = [pl.col(name).cast(pl.Float64) for name in directions]
    pairs = table.select(task, "base", "teacher", mean, error.alias("ap_se"), *metrics).sort(*GROUP, "teacher")
    # the noise ceiling of a base needs the errors of all its teachers
    known = pl.col("ap_se").is_not_null().all().over(GROUP)
    pairs = pairs.with_columns(ap_se=pl.when(known).then("ap_se").otherwise(0.0))
    return Evidence(path.stem, facts, pairs, directions)


def with_facts_of_teachers(table: pl.DataFrame, facts: dict) -> pl.DataFrame:
    """The table with a column for each metric that the file `teachers` has of every teacher."""
    if "teachers" not in facts:
        return table
    teachers = yaml.safe_load(Path(facts["teachers"]).read_text(encoding="utf-8"))["teachers"]
    values = {
        metric: {name: float(entry[metric]) for name, entry in teachers.items() if metric in entry}
        for metric in facts["metrics"]
        if metric not in table.columns
    }
    columns = {name: pl.col("teacher").replace_strict(of_teacher, default=None) for name, of_teacher in values.items()}
    return table.with_columns(**columns)


def wrong_facts(facts: dict) -> list[str]:
    """What is wrong with a YAML file, one line for each problem."""
    if not isinstance(facts, dict):
        return ["not a mapping: it needs the keys " + ", ".join(REQUIRED)]
    keys = REQUIRED + OPTIONAL
    problems = [f"no key {key}" for key in REQUIRED if key not in facts]
    problems += [f"unknown key {key}: the keys are {', '.join(keys)}" for key in facts if key not in keys]
    if "trust" in facts and facts["trust"] not in TRUST:
        problems.append(f"trust is {facts['trust']}: one of {', '.join(TRUST)}")
    metrics, combined = facts.get("metrics", {}), facts.get("combine", {})
    for name, metric in metrics.items():
        if set(metric) != {"better", "meaning"} or metric["better"] not in ("higher", "lower"):
            problems.append(f"metric {name}: needs better (higher or lower) and meaning, and no other key")
        elif name in METRICS and metric["better"] != better(name):
            problems.append(f"metric {name}: {better(name)} is better, as docs/metrics.md declares")
    if combined and set(combined) not in ({"reward", "loss"}, {"reward", "perplexity"}):
        problems.append("combine: needs reward, and loss or perplexity")
    if combined and "car" in metrics:
        problems.append("combine makes the metric car: leave it out of the metrics")
    problems += [f"combine: no metric {name}" for name in combined.values() if name not in metrics]
    parts = facts.get("parts", {})
    problems += [
        f"part {name}: needs without_teachers or tasks" for name, part in parts.items() if set(part) not in PARTS
    ]
    return problems


def wrong_table(table: pl.DataFrame, ap: list[str], metrics: list[str]) -> list[str]:
    """What is wrong with a CSV, one line for each problem."""
    needed = ["base", "teacher", *ap, *metrics]
    if missing := [name for name in needed if name not in table.columns]:
        return [f"no column {', '.join(missing)}; it has {', '.join(table.columns)}"]
    problems = [
        f"column {name} has a value that is no number" for name in (*ap, *metrics) if not is_numeric(table[name])
    ]
    keys = [name for name in ("task", "base", "teacher") if name in table.columns]
    if twice := table.filter(table.select(keys).is_duplicated()).select(keys).unique(maintain_order=True).rows():
        problems.append(f"twice in the table: {', '.join(map(str, twice[0]))}")
    if gaps := table.filter(pl.any_horizontal(pl.col(ap).is_null())).height:
        problems.append(f"rows without a score: {gaps}; leave them out")
    return problems


def is_numeric(values: pl.Series) -> bool:
    """Whether all known values are finite numbers."""
    return values.dtype == pl.Null or (
        values.dtype.is_numeric() and values.drop_nulls().cast(pl.Float64).is_finite().all()
    )
