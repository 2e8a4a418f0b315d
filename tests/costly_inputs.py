"""What the stages without a model write that costly stages read: held under a VERSION too, by test_versions.py."""

import json
from pathlib import Path

import polars as pl

from costly_outputs import INSTRUCTIONS, RESPONSES, rows_of, run, write_inputs


def prepare_instructions(folder, tiny, reward_model):
    rows = [{"q": text, "a": "x"} for text in [*INSTRUCTIONS, "Say it", "  Two\r\nlines ", "", "z" * 60]]
    path = write_lines(folder / "questions.jsonl", rows)
    source = {"path": str(path), "columns": {"instruction": "q", "reference": "a"}, "n": 5, "seed": 1}
    outputs = {"output": folder / "out.parquet", "set_aside": folder / "aside.parquet"}
    run("scripts.instructions.prepare_instructions", spec=source | {"max_characters": 50}, **outputs)
    return {name: rows_of(output) for name, output in outputs.items()}


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def import_table(folder):
    """A table of responses and rewards, without the last instruction."""
    rows = [{"q": q, "a": a or "", "r": i / 2} for i, (q, a) in enumerate(zip(INSTRUCTIONS, RESPONSES, strict=True))]
    return {"path": str(write_lines(folder / "table.jsonl", rows[:-1])), "match": {}}


def import_responses(folder, tiny, reward_model):
    inputs, source = write_inputs(folder), import_table(folder)
    source |= {"columns": {"instruction": "q", "response": "a"}}
    names = {"instructions": inputs["instructions"], "output": folder / "imported.parquet"}
    run("scripts.responses.import_responses", teacher="t", spec=source, **names)
    return rows_of(folder / "imported.parquet")


def import_baseline(folder, tiny, reward_model):
    inputs, source = write_inputs(folder), import_table(folder)
    source |= {"columns": {"instruction": "q", "response": "a"}}
    names = {"prompts": inputs["prompts"], "output": folder / "imported.parquet"}
    run("scripts.answers.import_baseline", benchmark="b", spec=source, **names)
    return rows_of(folder / "imported.parquet")


def import_rewards(folder, tiny, reward_model):
    inputs, source = write_inputs(folder), import_table(folder)
    source |= {"columns": {"instruction": "q", "reward": "r"}}
    names = {name: inputs[name] for name in ("instructions", "responses")} | {"output": folder / "imported.parquet"}
    run("scripts.rewards.import_rewards", reward_model="r", teacher="t", spec=source, **names)
    return rows_of(folder / "imported.parquet")


def pool_of(folder: Path) -> dict[str, Path]:
    """Two candidates for each instruction, and their rewards."""
    responses = pl.read_parquet(write_inputs(folder)["responses"])
    second = responses.with_columns(pl.lit(1, pl.Int32).alias("candidate"), pl.col("response") + "!")
    pool = pl.concat([responses, second]).sort("id", "candidate")
    value = pl.int_range(pl.len()).cast(pl.Float64).mod(3)
    rewards = pool.select("id", "candidate", "teacher", reward_model=pl.lit("r"), reward=value, reason="reason")
    for name, frame in {"pool": pool, "rewards": rewards}.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return {"responses": folder / "pool.parquet", "rewards": folder / "rewards.parquet"}


def select_responses(folder, tiny, reward_model):
    pool, found = pool_of(folder), {}
    for select in ("best", "worst", "random"):
        output = folder / f"{select}.parquet"
        run("scripts.responses.select_responses", teacher="s", select=select, seed=3, output=output, **pool)
        found[select] = rows_of(output)
    return found


def select_rewards(folder, tiny, reward_model):
    pool = pool_of(folder)
    run(
        "scripts.responses.select_responses", teacher="s", select="best", seed=3, output=folder / "best.parquet", **pool
    )
    names = {"responses": folder / "best.parquet", "rewards": pool["rewards"], "output": folder / "of-best.parquet"}
    run("scripts.rewards.select_rewards", teacher="s", **names)
    return rows_of(folder / "of-best.parquet")


def sources_of_mix(folder: Path) -> dict[str, list[Path]]:
    """Responses, rewards and likelihoods of two teachers, of which each has the better CAR for some instructions."""
    responses, files = pl.read_parquet(write_inputs(folder)["responses"]), {}
    for n, teacher in enumerate(("a", "b")):
        own = responses.with_columns(teacher=pl.lit(teacher), response=pl.col("response") + f" by {teacher}")
        number = pl.int_range(pl.len()).cast(pl.Float64)
        rewards = own.select(
            "id", "candidate", "teacher", reward_model=pl.lit("r"), reward=(number + n).mod(2), reason="reason"
        )
        nll = {"nll": number + 1.0, "end_nll": pl.lit(0.5), "n_tokens": pl.lit(4), "end_n_tokens": pl.lit(1)}
        likelihoods = own.select("id", pl.lit("m").alias("model"), "teacher", reason="reason", **nll)
        for name, frame in {"responses": own, "rewards": rewards, "likelihoods": likelihoods}.items():
            path = folder / f"{name}-{teacher}.parquet"
            frame.write_parquet(path)
            files.setdefault(name, []).append(path)
    return files


def mix_responses(folder, tiny, reward_model):
    run("scripts.mixes.mix_responses", teacher="mix", beta=1.0, output=folder / "mix.parquet", **sources_of_mix(folder))
    return rows_of(folder / "mix.parquet")


def take_mixed(folder, tiny, reward_model):
    mix_responses(folder, tiny, reward_model)
    found = {}
    for name in ("rewards", "likelihoods"):
        sources = [folder / f"{name}-{teacher}.parquet" for teacher in "ab"]
        names = {"responses": folder / "mix.parquet", "sources": sources, "output": folder / f"{name}.parquet"}
        run("scripts.mixes.take_mixed", teacher="mix", **names)
        found[name] = rows_of(folder / f"{name}.parquet")
    return found
