"""Benchmarks of table work with tables of the paper's size: responses of 19 teachers to 100,000 instructions."""

import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import polars as pl

from scripts.ranking import join_metrics, rank_teachers
from scripts.responses import import_responses
from scripts.tables.files import write_table

TEACHER = {"family": None, "compare": True, "parameters": None, "published_score": None}
CAR = {"reward_model": "reward-0", "beta": 1.0, "transform": "none"}


def joining(method: str, teachers: int, rows: int, reward_models: int):
    """From likelihoods, diversity and rewards of one base to the ranking; the work returns the CAR of each teacher."""
    folder = Path(tempfile.mkdtemp())
    for name in ("likelihoods", "diversity", "metrics", *(f"rewards-{i}" for i in range(reward_models))):
        (folder / name).mkdir()
    for teacher in range(teachers):
        write_parts(folder, f"teacher-{teacher}", rows, reward_models, np.random.default_rng(teacher))
    names = [f"teacher-{teacher}" for teacher in range(teachers)]
    return {"polars": rank_by_scripts, "pandas": rank_by_pandas}[method](folder, names, reward_models)


def write_parts(folder: Path, teacher: str, rows: int, reward_models: int, rng: np.random.Generator) -> None:
    """Random tables of one teacher: likelihoods, diversity, and rewards by each reward model."""
    ids = pl.DataFrame({"id": [f"{i:016x}" for i in range(rows)], "teacher": teacher})
    tokens = rng.integers(10, 1000, rows)
    sums = {"n_tokens": tokens, "nll": tokens * rng.random(rows), "rank_sum": tokens * 3, "end_n_tokens": 1}
    sums |= {"end_nll": rng.random(rows), "end_rank_sum": 1, "direct_n_tokens": tokens, "direct_nll": tokens * 2.0}
    sums |= {"entropy": tokens * 1.5, "brier": tokens * 0.6, "first_n_tokens": 3, "first_nll": 6 * rng.random(rows)}
    sums |= {"end_entropy": 1.5, "end_brier": 0.6, "prompt_n_tokens": 40, "prompt_nll": 80.0}
    sums |= {"answer_similarity": rng.random(rows), "prompt_similarity": 0.1}
    none = pl.lit(None, pl.String).alias("reason")
    columns = {name: pl.lit(v) if np.isscalar(v) else pl.Series(name, v) for name, v in sums.items()}
    texts = {"model": pl.lit("base"), "finish_reason": pl.lit("stop"), "truncated": pl.lit(False)}
    write_table(ids.with_columns(none, **columns, **texts), folder / f"likelihoods/{teacher}.parquet")
    sizes = {"n_bytes": pl.Series(tokens * 4), "deflated_bytes": pl.Series(tokens)}
    write_table(ids.with_columns(none, **sizes), folder / f"diversity/{teacher}.parquet")
    for i in range(reward_models):
        reward = {"reward": pl.Series(rng.normal(1, 1, rows)), "reward_model": pl.lit(f"reward-{i}")}
        write_table(ids.with_columns(none, **reward), folder / f"rewards-{i}/{teacher}.parquet")


def rank_by_scripts(folder: Path, teachers: list[str], reward_models: int):
    """The scripts of this workflow."""

    def work() -> list[float]:
        rewards = [f"{folder}/rewards-{i}/{teacher}.parquet" for i in range(reward_models) for teacher in teachers]
        parts = {
            "base": ["base"],
            "rewards": rewards,
            "outputs": [f"{folder}/metrics/{name}.parquet" for name in teachers],
        }
        parts |= {
            part: [f"{folder}/{part}/{name}.parquet" for name in teachers] for part in ("likelihoods", "diversity")
        }
        call(join_metrics, parts)
        options = {"car": [json.dumps(CAR)], "families": ['{"base": null}'], "max-set-aside": ["0.2"]}
        options |= {"teachers": [json.dumps({name: TEACHER for name in teachers})]}
        options |= {"metrics": [f"{folder}/metrics/{name}.parquet" for name in teachers]}
        call(rank_teachers, options | {"output": [f"{folder}/teachers.csv"]})
        return pl.read_csv(folder / "teachers.csv").sort("teacher")["car"].to_list()

    return work


def rank_by_pandas(folder: Path, teachers: list[str], reward_models: int):
    """All teachers in one table, a common implementation."""
    import pandas as pd

    def read(name: str) -> pd.DataFrame:
        return pd.concat([pd.read_parquet(folder / f"{name}/{teacher}.parquet") for teacher in teachers])

    def work() -> list[float]:
        table = read("likelihoods").merge(read("diversity").drop(columns="reason"), on=["id", "teacher"])
        for i in range(reward_models):
            rewards = read(f"rewards-{i}")[["id", "teacher", "reward"]].rename(columns={"reward": f"reward-{i}"})
            table = table.merge(rewards, on=["id", "teacher"], validate="1:1")
        n, end = table["n_tokens"], table["end_n_tokens"]
        table["loss"] = (table["nll"] + table["end_nll"]) / (n + end)
        table["loss_without_end"], table["mean_rank"] = table["nll"] / n, table["rank_sum"] / n
        table["ppl_self"] = np.exp(table["loss_without_end"])
        table["ifd_self"] = np.exp(table["loss_without_end"] - table["direct_nll"] / table["direct_n_tokens"])
        means = table.drop(columns=["id", "model", "finish_reason", "reason"]).groupby("teacher").mean().sort_index()
        return (means[CAR["reward_model"]] / (1 + CAR["beta"] * means["loss"])).to_list()

    return work


def importing(method: str, teachers: int, rows: int, characters: int):
    """One teacher's responses from a table of all teachers; the work returns their number."""
    folder = Path(tempfile.mkdtemp())
    instructions = [f"{i:x} ".ljust(60, "?") for i in range(rows)]
    ids = [f"{i:016x}" for i in range(rows)]
    write_table(pl.DataFrame({"id": ids, "instruction": instructions}), folder / "i.parquet")
    parts = folder / "parts"
    parts.mkdir()
    for teacher in range(teachers):
        responses = [f"{teacher} {i} ".ljust(characters, "x") for i in range(rows)]
        table = {"instruction": instructions, "model": f"teacher-{teacher}", "response": responses}
        write_table(pl.DataFrame(table), parts / f"{teacher}.parquet")
    pl.scan_parquet(parts / "*.parquet").sink_parquet(folder / "all.parquet")
    spec = {"path": str(folder / "all.parquet"), "match": {"model": "teacher-1"}}
    spec |= {"columns": {"instruction": "instruction", "response": "response"}}
    options = {"teacher": ["teacher-1"], "spec": [json.dumps(spec)], "instructions": [f"{folder}/i.parquet"]}

    def by_pandas() -> list[float]:
        import pandas as pd

        all_teachers = pd.read_parquet(folder / "all.parquet")
        one_teacher = all_teachers[all_teachers["model"] == "teacher-1"]
        found = pd.read_parquet(folder / "i.parquet").merge(one_teacher, on="instruction", how="left")
        found.to_parquet(folder / "found.parquet")
        return [float(found["response"].notna().sum())]

    def by_polars() -> list[float]:
        call(import_responses, options | {"output": [f"{folder}/found.parquet"]})
        return [float(pl.read_parquet(folder / "found.parquet")["response"].count())]

    return {"polars": by_polars, "pandas": by_pandas}[method]


def call(script, arguments: dict[str, list[str]]) -> None:
    """Run a script's main with these arguments, without its output."""
    sys.argv = [script.__name__, *(x for name, values in arguments.items() for x in (f"--{name}", *values))]
    with redirect_stdout(None):
        script.main()
