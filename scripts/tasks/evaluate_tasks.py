r"""Evaluate the model of a pair on tasks of lm-evaluation-harness (protocol `lm_eval`).

python -m scripts.tasks.evaluate_tasks --settings '{"tasks": ["gsm8k", "mmlu"]}' \
    --model '{"model": "results/mine/checkpoints/alpha/terse-large", "engine": "transformers"}' \
    --store results/mine/rows/evaluations/knowledge/alpha/terse-large \
    --samples results/mine/evaluations/knowledge/alpha/terse-large.parquet \
    --output results/mine/evaluations/knowledge/alpha/terse-large.json

The engine `transformers` is the model `hf` of lm_eval, `vllm` is its `vllm`. Thinking is cut from generated answers. A
task is stored when it ends; its key has the model's files, the settings, the files of own tasks and the version of
lm_eval. The output has lm_eval's numbers of each task, the samples what the model was asked and answered.
"""

import argparse
import json
import traceback
from functools import partial
from importlib.metadata import version
from pathlib import Path

import polars as pl

from scripts.configuration.entries import ENGINE_KEYS, entry_of
from scripts.models.folder import failure, key_of
from scripts.tables.digests import sha256
from scripts.tables.files import write_table
from scripts.tables.row_store import RowStore
from scripts.tables.text_files import write_json
from scripts.tasks.installed_tasks import read_tasks
from scripts.tasks.known_tasks import wrong_task

VERSION = 1
SEEDS = {"random_seed": 0, "numpy_random_seed": 1234, "torch_random_seed": 1234, "fewshot_random_seed": 1234}
NUMBERS = ("results", "groups", "higher_is_better", "n-samples", "n-shot", "versions")
SAMPLES = {name: pl.String for name in ("task", "filter", "prompt", "target", "answer", "metrics")} | {"doc": pl.Int64}
# settings that change numbers
DECIDING = ("num_fewshot", "apply_chat_template", "limit", "max_new_tokens", "think_end")


def main():
    args = parse_args()
    settings, model = args.settings, args.model
    if failure(model["model"]):
        write_table(pl.DataFrame(schema=SAMPLES), args.samples)
        return write_json({"reason": "not_trained"}, args.output)
    spec = {name: settings[name] for name in DECIDING}
    spec |= {"model": key_of(model), "files": files_of_tasks(settings["include_path"]), "lm_eval": version("lm_eval")}
    store = RowStore(args.store, spec, VERSION)
    rows = [{"task": task} for task in settings["tasks"]]
    found = store.fill(rows, partial(load, settings, model), block=1)
    tasks = {row["task"]: json.loads(result["numbers"]) for row, result in zip(rows, found, strict=True)}
    samples = [sample for result in found for sample in json.loads(result["samples"])]
    write_table(pl.DataFrame(samples, schema=SAMPLES), args.samples)
    write_json({"lm_eval": version("lm_eval"), "tasks": tasks}, args.output)
    print(json.dumps({task: numbers["results"] for task, numbers in tasks.items()}, indent=2))


def files_of_tasks(folder: str | None) -> dict[str, str]:
    """Name to SHA-256 of the files of own tasks: their YAML, code and data."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return {str(path.relative_to(folder)): sha256(path) for path in paths if "__pycache__" not in path.parts}


def load(settings: dict, model: dict):
    """Load the model; a function from rows with a `task` to what is stored. Exits naming tasks that cannot run."""
    configs, tags, manager = read_tasks(settings["include_path"], tuple(settings["tasks"]))
    if wrong := [line for task in settings["tasks"] if (line := wrong_task(task, configs, tags))]:
        raise SystemExit("\n".join(wrong))
    loaded = {"transformers": load_hf, "vllm": load_vllm}[model["engine"]](settings, model)
    return lambda rows: [try_to_evaluate(row["task"], settings, loaded, manager) for row in rows]


def load_hf(settings: dict, model: dict):
    import torch
    from lm_eval.models.huggingface import HFLM

    from scripts.models.tokenizers import load_tokenizer

    return HFLM(
        pretrained=model["model"],
        tokenizer=load_tokenizer(model["model"]),
        device="cuda" if torch.cuda.is_available() else "cpu",
        parallelize=torch.cuda.device_count() > 1,
        batch_size=settings["batch_size"],
        think_end_token=settings["think_end"],
        trust_remote_code=False,
    )


def load_vllm(settings: dict, model: dict):
    from lm_eval.models.vllm_causallms import VLLM

    return VLLM(
        pretrained=model["model"], think_end_token=settings["think_end"], trust_remote_code=False, **model["vllm"]
    )


def try_to_evaluate(task: str, settings: dict, model, manager) -> dict[str, str] | Exception:
    """What `evaluate` returns, or why the task failed: then the others are still evaluated, and the job fails."""
    try:
        return evaluate(task, settings, model, manager)
    except Exception as error:  # of the harness, or of a data set's library: no list of them would be complete
        traceback.print_exc()
        return RuntimeError(f"{task}: {' '.join(f'{type(error).__name__}: {error}'.split())[:300]}")


def evaluate(task: str, settings: dict, model, manager) -> dict[str, str]:
    """The numbers of a task or group, and its samples, as JSON. model, manager: objects of lm_eval."""
    from lm_eval import simple_evaluate

    found = simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=manager,
        num_fewshot=settings["num_fewshot"],
        apply_chat_template=settings["apply_chat_template"],
        limit=settings["limit"],
        gen_kwargs={"max_gen_toks": settings["max_new_tokens"]} if settings["max_new_tokens"] else None,
        confirm_run_unsafe_code=False,
        **SEEDS,
    )
    samples = [sample_of(name, row) for name, rows in found["samples"].items() for row in rows]
    return {"numbers": as_json({name: found[name] for name in NUMBERS if name in found}), "samples": as_json(samples)}


def sample_of(task: str, row: dict) -> dict:
    """What the model was asked and answered for one document, with the values of the metrics."""
    metrics = {name: row[name] for name in row["metrics"]}
    texts = {
        "prompt": row["arguments"][0][0],
        "target": as_json(row["target"]),
        "answer": as_json(row["filtered_resps"]),
    }
    return {"task": task, "filter": row["filter"], "doc": row["doc_id"], **texts, "metrics": as_json(metrics)}


def as_json(value) -> str:
    return json.dumps(value, default=lambda other: other.item() if hasattr(other, "item") else str(other))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    settings = entry_of("task_benchmark")
    parser.add_argument("--settings", type=settings, required=True, help="tasks, num_fewshot, limit ... as JSON")
    model = entry_of("answering_model", *ENGINE_KEYS)
    parser.add_argument("--model", type=model, required=True, help="engine and model as JSON")
    parser.add_argument("--store", type=Path, required=True, help="row store")
    parser.add_argument("--samples", type=Path, required=True, help="parquet of questions and answers")
    parser.add_argument("--output", type=Path, required=True, help="JSON with the numbers of each task")
    return parser.parse_args()


if __name__ == "__main__":
    main()
