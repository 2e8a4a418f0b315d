"""Fine-tune a base model on a teacher's responses with TRL, the loss on the response alone.

python scripts/finetune.py --base alpha --teacher terse-large --model '{"model": ..., "chat_template": ...}' \
    --hyperparameters '{"epochs": 2, "learning_rate": 2e-5, ...}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet \
    --manifest results/miniature/checkpoints/alpha/terse-large/manifest.json
torchrun --standalone --nproc-per-node 4 scripts/finetune.py ... with several GPUs

The checkpoint is an ordinary model folder with the base's chat template; its manifest is written last. Weights are
trained in float32, under bfloat16 autocast where there is a GPU, and saved in the base's own precision. With `lora`,
adapters are trained in float32 over frozen weights in the base's own precision, and merged. However many processes
share the work, a step has batch_size examples and its loss is the mean over their tokens. Defaults are those of the
paper's Table 5.
"""

import argparse
import json
import shutil
from pathlib import Path

import datasets
import polars as pl
import torch
import transformers
import trl
from transformers import AutoConfig, AutoModelForCausalLM
from trl import SFTTrainer

from chat import Chat, load_tokenizer
from model_folder import publish
from model_loading import context_length
from sft_settings import StopAtNaN, adapters, settings


def main():
    args = parse_args()
    spec, hyper = args.model, args.hyperparameters
    code = {key: spec[key] for key in ("revision", "trust_remote_code")}
    tokenizer = load_tokenizer(spec["model"], chat_template=spec["chat_template"], **code)
    chat = Chat(tokenizer)
    config = AutoConfig.from_pretrained(spec["model"], **code)
    longest = min(hyper["max_length"], context_length(config))
    examples, counts = encode_examples(chat, read_pairs(args.instructions, args.responses), longest)
    if not examples:
        raise SystemExit(f"nothing to train {args.base} on: {counts}")
    print(f"{args.base} on {args.teacher}: {counts}", flush=True)
    folder = args.manifest.parent
    scratch = folder.with_name(f".{folder.name}.tmp")
    precision = config.dtype or torch.float32
    trainer = train(spec, tokenizer, examples, hyper, precision, scratch)
    state = trainer.accelerator.get_state_dict(trainer.model) if spec["fsdp"] else None  # takes every process
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if spec["lora"]:
        model = model.cpu().float().merge_and_unload()  # in bfloat16 the merged weights would round the adapters away
    save(model, state, precision, tokenizer, chat, scratch)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    of_run = trainer.args
    facts = {
        "treatment": "lora" if spec["lora"] else "full",
        "processes": of_run.world_size,
        "batch_size": of_run.world_size * of_run.per_device_train_batch_size * of_run.gradient_accumulation_steps,
        "steps": trainer.state.global_step,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "versions": {module.__name__: module.__version__ for module in (torch, transformers, trl)},
    }
    publish(scratch, folder, **counts, **facts)


def read_pairs(instructions: Path, responses: Path) -> pl.DataFrame:
    """instruction, response, finish_reason and reason of every response, in the order of the instructions."""
    return pl.read_parquet(responses).join(
        pl.read_parquet(instructions).select("id", "instruction"), on="id", validate="1:1", maintain_order="left"
    )


def encode_examples(chat: Chat, pairs: pl.DataFrame, max_length: int) -> tuple[list[dict], dict[str, int]]:
    """input_ids and labels of each usable pair, -100 on the prompt, and how many pairs went where.

    A pair longer than max_length keeps its start; one without a response token left is dropped.
    """
    examples, truncated, dropped = [], 0, 0
    usable = pairs.filter(pl.col("reason").is_null())
    for row in usable.iter_rows(named=True):
        prompt, text, end = chat.example(row["instruction"], row["response"], row["finish_reason"])
        ids = (prompt + text + end)[:max_length]
        if len(ids) <= len(prompt):
            dropped += 1
            continue
        truncated += len(ids) < len(prompt + text + end)
        examples.append({"input_ids": ids, "labels": [-100] * len(prompt) + ids[len(prompt) :]})
    counts = {"n_examples": len(examples), "n_truncated": truncated, "n_dropped_prompt_fills_max_length": dropped}
    return examples, counts | {"n_set_aside": pairs.height - usable.height}


def train(spec: dict, tokenizer, examples: list[dict], hyper: dict, precision, scratch: Path) -> SFTTrainer:
    """The trainer after its last step. `precision` is the base's own, in which frozen weights are kept."""
    lora = spec["lora"]
    config = settings(hyper | ({"learning_rate": lora["learning_rate"]} if lora else {}), spec["fsdp"], scratch)
    model = AutoModelForCausalLM.from_pretrained(
        spec["model"],
        revision=spec["revision"],
        trust_remote_code=spec["trust_remote_code"],
        dtype=precision if lora and not config.use_cpu else torch.float32,
        use_safetensors=True,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples),
        processing_class=tokenizer,
        callbacks=[StopAtNaN()],
        peft_config=adapters(lora) if lora else None,
    )
    trainer.train()
    return trainer


def save(model, state: dict | None, precision, tokenizer, chat: Chat, scratch: Path) -> None:
    """Weights (of `state`, where the processes share them), tokenizer with its chat template, and greedy decoding."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    model.generation_config = transformers.GenerationConfig(eos_token_id=chat.end[-1], pad_token_id=chat.end[-1])
    if state is None:
        model.to(precision).save_pretrained(scratch)
    else:
        model.config.dtype = precision
        model.save_pretrained(scratch, state_dict={name: weight.to(precision) for name, weight in state.items()})
    tokenizer.save_pretrained(scratch)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--model", type=json.loads, required=True, help="model, revision, chat_template as JSON")
    parser.add_argument("--hyperparameters", type=json.loads, required=True, help="section finetune as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json of the checkpoint folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
