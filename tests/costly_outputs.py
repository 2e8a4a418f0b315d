"""What each costly stage gives for a small fixed input: the outputs that test_versions.py holds under a VERSION.

Each function runs a script on models of random weights, or against a server on loopback, and returns what it wrote.
"""

import importlib
import json
import sys
from pathlib import Path

import polars as pl
import torch
from transformers import AutoModelForCausalLM

from conftest import ROOT
from fault_server import FaultServer
from judge_server import Grader, Judge

NAMES = {"revision": None, "chat_template": None, "trust_remote_code": False}
SAMPLING = {"max_new_tokens": 8, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 256, "options": {}}
API = {"concurrency": 1, "timeout_s": 5, "retries": 0, "budget_usd": None, "prices": {}}
TEMPLATE = "config/templates/plain.jinja"
SIZE = {"hidden": 32, "layers": 1, "steps": 3, "batch": 4, "learning_rate": 0.005}
INSTRUCTIONS = ["Say it", "Name a <|im_end|> token", "¿Qué?", "问题", "Two\nlines", "A b c d e f g h", "🙂"]
RESPONSES = ["seven", "it is <|endoftext|>", "ningún", "回答 here", "one\n\ntwo", "x" * 40, None]
FINISH_REASONS = ["stop", "stop", "stop", "stop", "length", "stop", None]


def run(script: str, **arguments) -> None:
    """A script of scripts/ in this process; a list gives an option several values."""
    given = {name.replace("_", "-"): value if isinstance(value, list) else [value] for name, value in arguments.items()}
    options = [part for name, values in given.items() for part in (f"--{name}", *map(text_of, values))]
    before, sys.argv = sys.argv, [script, *options]
    try:
        importlib.import_module(script).main()
    finally:
        sys.argv = before


def text_of(value) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def write_inputs(folder: Path) -> dict[str, Path]:
    """instructions, prompts, responses, answers and a baseline's answers, as the stages before write them."""
    ids = [f"id-{i}" for i in range(len(INSTRUCTIONS))]
    reasons = [None if text else "empty" for text in RESPONSES]
    instructions = pl.DataFrame({"id": ids, "instruction": INSTRUCTIONS})
    responses = instructions.select(
        "id",
        candidate=pl.lit(0, pl.Int32),
        teacher=pl.lit("t"),
        response=pl.Series(RESPONSES),
        turns=pl.lit(None, pl.String),
        finish_reason=pl.Series(FINISH_REASONS),
        n_tokens=pl.lit(5, pl.Int64),
        n_prompt_tokens=pl.lit(9, pl.Int64),
        reason=pl.Series(reasons, dtype=pl.String),
    )
    answers = responses.drop("candidate", "turns", "n_prompt_tokens").rename({"response": "answer"})
    answers = answers.with_columns(benchmark=pl.lit("b"), base=pl.lit("x"))
    baseline = answers.with_columns(answer=pl.lit("the baseline"), reason=pl.lit(None, pl.String))
    frames = {"instructions": instructions, "prompts": instructions, "responses": responses}
    frames |= {"answers": answers, "baseline": baseline}
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in frames}


def rows_of(path: Path) -> list[dict]:
    return pl.read_parquet(path).to_dicts()


def generate_responses(folder, tiny, reward_model):
    """Greedy, and drawn for a pool."""
    inputs, found = write_inputs(folder), {}
    for name, candidates, sampling in (("greedy", 1, {}), ("drawn", 2, {"temperature": 0.7, "max_new_tokens": 4})):
        model = NAMES | {"engine": "transformers", "model": str(tiny), "chat_template": TEMPLATE}
        run(
            "scripts.responses.generate_responses",
            teacher="t",
            model=model,
            sampling=SAMPLING | sampling,
            candidates=candidates,
            api=API,
            instructions=inputs["instructions"],
            store=folder / "rows",
            output=folder / f"{name}.parquet",
        )
        found[name] = rows_of(folder / f"{name}.parquet")
    return found


def generate_responses_openai(folder, tiny, reward_model):
    """What an endpoint is sent, and what becomes of its answers."""
    server, inputs = FaultServer(), write_inputs(folder)
    endpoint = {"base_url": server.url, "api_key_env": None, "max_tokens_name": "max_tokens"}
    run(
        "scripts.responses.generate_responses",
        teacher="t",
        model=NAMES | {"engine": "openai", "model": "m", "openai": endpoint},
        sampling=SAMPLING | {"temperature": 0.5},
        candidates=2,
        api=API | {"ledger": str(folder / "spent_usd.txt")},
        instructions=inputs["instructions"],
        store=folder / "rows",
        output=folder / "responses.parquet",
    )
    server.shutdown()
    return {"requests": server.bodies, "responses": rows_of(folder / "responses.parquet")}


def answer_benchmark(folder, tiny, reward_model):
    inputs = write_inputs(folder)
    run(
        "scripts.answers.answer_benchmark",
        benchmarks="b",
        base="x",
        teacher="t",
        model=NAMES | {"engine": "transformers", "model": str(tiny), "chat_template": TEMPLATE},
        samplings=SAMPLING,
        api=API,
        prompts=inputs["prompts"],
        stores=folder / "rows",
        outputs=folder / "given.parquet",
    )
    return rows_of(folder / "given.parquet")


def score_rewards(folder, tiny, reward_model):
    inputs = write_inputs(folder)
    run(
        "scripts.rewards.score_rewards",
        reward_model="r",
        teachers="t",
        model=scorer(reward_model),
        instructions=inputs["instructions"],
        responses=inputs["responses"],
        store=folder / "rows",
        outputs=folder / "rewards.parquet",
    )
    return rows_of(folder / "rewards.parquet")


def scorer(folder: Path) -> dict:
    return NAMES | {"model": str(folder), "batch_tokens": 128, "attn_implementation": None, "output": "logits"}


def score_likelihoods(folder, tiny, reward_model):
    """Of a base and of a reference model, token by token."""
    inputs, found = write_inputs(folder), {}
    for prompt in ("chat", "plain"):
        run(
            "scripts.likelihoods.score_likelihoods",
            name="m",
            teachers="t",
            model={"model": str(tiny)} if prompt == "plain" else {"model": str(tiny), "chat_template": TEMPLATE},
            prompt=prompt,
            limits={"max_length": 48, "batch_tokens": 128, "per_token": True},
            instructions=inputs["instructions"],
            responses=inputs["responses"],
            store=folder / "rows",
            outputs=folder / f"{prompt}.parquet",
        )
        found[prompt] = rows_of(folder / f"{prompt}.parquet")
    return found


def score_lalp(folder, tiny, reward_model):
    inputs = write_inputs(folder)
    steps = pl.read_parquet(inputs["responses"]).with_columns(response=pl.col("response") + ". So? It is. B. c.\nEnd")
    steps.write_parquet(inputs["responses"])
    run(
        "scripts.likelihoods.score_lalp",
        name="m",
        teachers="t",
        model={"model": str(tiny), "chat_template": TEMPLATE},
        settings={"n": 6, "steps_before": 2},
        limits={"max_length": 60, "batch_tokens": 128},
        instructions=inputs["instructions"],
        responses=inputs["responses"],
        store=folder / "rows",
        outputs=folder / "steps.parquet",
    )
    return rows_of(folder / "steps.parquet")


def score_gradients(folder, tiny, reward_model):
    """Of all weights and of adapters; of each projection the first numbers, which are small."""
    inputs, found = write_inputs(folder), {}
    for lora in (False, True):
        run(
            "scripts.gradients.score_gradients",
            name="m",
            teachers="t",
            model={"model": str(tiny), "chat_template": TEMPLATE},
            settings={"n": 5, "lora": lora, "max_length": 40},
            instructions=inputs["instructions"],
            responses=inputs["responses"],
            store=folder / "rows",
            outputs=folder / "gradients.parquet",
        )
        first = [row | {"projection": starts(row["projection"])} for row in rows_of(folder / "gradients.parquet")]
        found["adapters" if lora else "weights"] = first
    return found


def starts(projection: list[float] | None) -> list[float] | None:
    return projection and [1000 * value for value in projection[:6]]


def finetune(folder, tiny, reward_model):
    """The manifest, how the model is to generate, and what it then thinks of ten tokens."""
    inputs = write_inputs(folder)
    hyper = {"epochs": 2, "learning_rate": 1e-3, "scheduler": "cosine", "warmup_steps": 1, "weight_decay": 0.0}
    hyper |= {"batch_size": 4, "micro_batch_size": 2, "max_length": 48, "gradient_checkpointing": False, "seed": 0}
    run(
        "scripts.finetuning.finetune",
        base="b",
        teacher="t",
        model=NAMES | {"model": str(tiny), "chat_template": TEMPLATE, "fsdp": False, "lora": None},
        hyperparameters=hyper,
        instructions=inputs["instructions"],
        responses=inputs["responses"],
        scratch=folder / "scratch",
        manifest=folder / "model/manifest.json",
    )
    manifest = json.loads((folder / "model/manifest.json").read_text(encoding="utf-8"))
    del manifest["files"], manifest["versions"]
    settings = json.loads((folder / "model/generation_config.json").read_text(encoding="utf-8"))
    settings.pop("transformers_version")
    return {"manifest": manifest, "generation_config": settings, "logits": logits_of(folder / "model")}


def logits_of(folder: Path) -> list[list[float]]:
    """The first logits that a causal model gives after each of ten tokens."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        return model(torch.arange(10)[None]).logits[0, :, :3].tolist()


def judge_pairs(folder, tiny, reward_model):
    """What a judge is sent by each protocol, and what is kept of its verdicts."""
    inputs, found = write_inputs(folder), {}
    (folder / "template.txt").write_text(
        "<|im_start|>user\nQ: {instruction}\n1: {output_1}\n2: {output_2}\n<|im_end|>\n", encoding="utf-8"
    )
    one_line = pl.col("instruction").str.replace_all("\n", " ")
    prompts = pl.read_parquet(inputs["prompts"]).with_columns(one_line)
    prompts.with_columns(raw_instruction="instruction").write_parquet(inputs["prompts"])
    one_line = pl.col("answer").str.replace_all("\n", " ")
    pl.read_parquet(inputs["answers"]).with_columns(one_line).write_parquet(inputs["answers"])
    for protocol in ("alpaca_eval", "arena_hard", "label"):
        server = FaultServer(Judge)
        endpoint = {"base_url": server.url, "api_key_env": None, "max_tokens_name": "max_tokens"}
        run(
            "scripts.judgments.judge_pairs",
            protocol=protocol,
            judge=NAMES | {"engine": "openai", "model": "m", "openai": endpoint},
            sampling={"max_new_tokens": 900},
            template=folder / "template.txt",
            api=API | {"ledger": str(folder / "spent_usd.txt")},
            prompts=inputs["prompts"],
            baseline=inputs["baseline"],
            pairs="x/t",
            answers=inputs["answers"],
            store=folder / "rows",
            outputs=folder / f"{protocol}.parquet",
        )
        server.shutdown()
        found[protocol] = {"requests": server.bodies, "judgments": rows_of(folder / f"{protocol}.parquet")}
    return found


def judge_grades(folder, tiny, reward_model):
    """What a judge is sent to grade answers, and what is kept of its texts."""
    inputs, server = write_inputs(folder), FaultServer(Grader)
    template = "<|im_start|>user\nQ: {instruction}\nA: {output}\n<|im_end|>\n"
    (folder / "template.txt").write_text(template, encoding="utf-8")
    endpoint = {"base_url": server.url, "api_key_env": None, "max_tokens_name": "max_tokens"}
    run(
        "scripts.judgments.judge_grades",
        judge=NAMES | {"engine": "openai", "model": "m", "openai": endpoint},
        sampling={"max_new_tokens": 900},
        template=folder / "template.txt",
        api=API | {"ledger": str(folder / "spent_usd.txt")},
        prompts=inputs["prompts"],
        pairs="x/t",
        answers=inputs["answers"],
        store=folder / "rows",
        outputs=folder / "judgments.parquet",
    )
    server.shutdown()
    return {"requests": server.bodies, "judgments": rows_of(folder / "judgments.parquet")}


def judge_reward(folder, tiny, reward_model):
    inputs = write_inputs(folder)
    run(
        "scripts.judgments.judge_reward",
        judge=scorer(reward_model),
        prompts=inputs["prompts"],
        baseline=inputs["baseline"],
        pairs="x/t",
        answers=inputs["answers"],
        store=folder / "rows",
        outputs=folder / "judgments.parquet",
    )
    return rows_of(folder / "judgments.parquet")


def check_models(folder, tiny, reward_model):
    entries = {
        "bases": {"b": NAMES | {"model": str(tiny), "chat_template": TEMPLATE}},
        "reward_models": {"r": NAMES | {"model": str(reward_model), "output": "logits"}},
    }
    run("scripts.checks.check_models", models=entries, output=folder / "facts.json")
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    for section in facts.values():
        for found in section.values():
            del found["model"]  # the path of a temporary folder
    return facts


def write_miniature_instructions(folder, tiny, reward_model):
    names = {"instructions": folder / "instructions.jsonl", "held_out": folder / "held_out.jsonl"}
    run("scripts.miniature.write_miniature_instructions", seed=0, n=20, n_held_out=5, **names)
    return {name: path.read_text(encoding="utf-8").splitlines() for name, path in names.items()}


def train_miniature_tokenizer(folder, tiny, reward_model):
    """Its merges in order."""
    path = folder / "tokenizer.json"
    run("scripts.miniature.train_miniature_tokenizer", seed=0, notes=200, merges=40, output=path)
    return json.loads(path.read_text(encoding="utf-8"))["model"]["merges"]


def train_miniature_teachers(folder, tiny, reward_model):
    train_miniature_tokenizer(folder, tiny, reward_model)
    manifest = folder / "plain-small/manifest.json"
    run(
        "scripts.miniature.train_miniature_teachers",
        family="plain",
        runs=[SIZE | {"points": {"early": 2, "small": 3}}],
        seed=0,
        tokenizer=folder / "tokenizer.json",
        chat_template=ROOT / "config/miniature/chat.jinja",
        manifests=[folder / "plain-early/manifest.json", manifest],
    )
    return [logits_of(folder / "plain-early"), logits_of(manifest.parent)]


def train_miniature_bases(folder, tiny, reward_model):
    train_miniature_tokenizer(folder, tiny, reward_model)
    manifest = folder / "alpha/manifest.json"
    bases = {"alpha": {"styles": {"terse": 0.6, "plain": 0.3, "worked": 0.1}, "model": SIZE}}
    names = {"tokenizer": folder / "tokenizer.json", "manifests": [manifest]}
    run("scripts.miniature.train_miniature_bases", bases=bases, seed=0, **names)
    return logits_of(manifest.parent)


def train_miniature_reward_model(folder, tiny, reward_model):
    train_miniature_teachers(folder, tiny, reward_model)
    run(
        "scripts.miniature.train_miniature_reward_model",
        size={"steps": 3, "batch": 4, "learning_rate": 0.002},
        start=folder / "plain-small/manifest.json",
        seed=0,
        manifest=folder / "right-answer/manifest.json",
    )
    return logits_of(folder / "right-answer")  # of its layers: a head of another kind is drawn anew


def train_miniature_judge(folder, tiny, reward_model):
    train_miniature_reward_model(folder, tiny, reward_model)
    run(
        "scripts.miniature.train_miniature_judge",
        size={"layers": 2, "steps": 3, "batch": 2, "learning_rate": 0.003},
        seed=0,
        start=folder / "right-answer/manifest.json",
        alpaca_eval=ROOT / "config/miniature/judge_alpaca_eval.txt",
        arena_hard=ROOT / "config/miniature/judge_arena_hard.txt",
        manifest=folder / "pairwise/manifest.json",
    )
    return logits_of(folder / "pairwise")
