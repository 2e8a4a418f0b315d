"""Fine-tune a base model on a teacher's responses with TRL, the loss on the response alone.

python scripts/finetune.py --base alpha --teacher terse-large --model '{"model": ..., "chat_template": ...}' \
    --hyperparameters '{"epochs": 2, "learning_rate": 2e-5, ...}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet \
    --manifest results/miniature/checkpoints/alpha/terse-large/manifest.json

The checkpoint is an ordinary model folder with the base's chat template; its manifest is written last. Weights are
trained in float32, under bfloat16 autocast where there is a GPU, and saved in the base's own precision. Defaults are
those of the paper's Table 5.
"""

import argparse
import json
import math
import shutil
from pathlib import Path

import datasets
import polars as pl
import torch
import transformers
import trl
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback
from trl import SFTConfig, SFTTrainer

from chat import Chat, load_tokenizer
from model_folder import publish


def main():
    args = parse_args()
    spec, hyper = args.model, args.hyperparameters
    tokenizer = load_tokenizer(spec["model"], spec["revision"], spec["chat_template"])
    chat = Chat(tokenizer)
    examples, counts = encode_examples(chat, read_pairs(args.instructions, args.responses), hyper["max_length"])
    if not examples:
        raise SystemExit(f"nothing to train {args.base} on: {counts}")
    print(f"{args.base} on {args.teacher}: {counts}", flush=True)
    folder = args.manifest.parent
    scratch = folder.with_name(f".{folder.name}.tmp")
    trained = train(spec, tokenizer, chat, examples, hyper, scratch)
    losses = [entry["loss"] for entry in trained.state.log_history if "loss" in entry]
    precision = AutoConfig.from_pretrained(spec["model"], revision=spec["revision"]).dtype or torch.float32
    save(trained.model.to(precision), tokenizer, chat, scratch)
    versions = {module.__name__: module.__version__ for module in (torch, transformers, trl)}
    steps = trained.state.global_step
    publish(scratch, folder, **counts, steps=steps, first_loss=losses[0], last_loss=losses[-1], versions=versions)


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


def train(spec: dict, tokenizer, chat: Chat, examples: list[dict], hyper: dict, scratch: Path) -> SFTTrainer:
    """The trainer after its last step."""
    shutil.rmtree(scratch, ignore_errors=True)
    on_gpu = torch.cuda.is_available()
    config = SFTConfig(
        output_dir=str(scratch),
        num_train_epochs=hyper["epochs"],
        learning_rate=hyper["learning_rate"],
        lr_scheduler_type=hyper["scheduler"],
        warmup_steps=hyper["warmup_steps"],
        weight_decay=hyper["weight_decay"],
        per_device_train_batch_size=hyper["micro_batch_size"],
        gradient_accumulation_steps=hyper["batch_size"] // hyper["micro_batch_size"],
        gradient_checkpointing=hyper["gradient_checkpointing"],
        max_length=hyper["max_length"],
        seed=hyper["seed"],
        bf16=on_gpu,
        use_cpu=not on_gpu,
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    if config.n_gpu > 1:  # the Trainer would multiply the batch by their number
        raise SystemExit(f"fine-tuning sees {config.n_gpu} GPUs and uses one: set CUDA_VISIBLE_DEVICES")
    model = AutoModelForCausalLM.from_pretrained(
        spec["model"], revision=spec["revision"], dtype=torch.float32, use_safetensors=True
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples),
        processing_class=tokenizer,
        callbacks=[StopAtNaN()],
    )
    trainer.train()
    return trainer


class StopAtNaN(TrainerCallback):
    """A loss that is not a number ends the run: weights made from it are never published."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise SystemExit(f"loss {logs['loss']} at step {state.global_step}: lower finetune.learning_rate")


def save(model, tokenizer, chat: Chat, scratch: Path) -> None:
    """Weights, tokenizer with its chat template, and greedy decoding to the end of turn."""
    scratch.mkdir(parents=True, exist_ok=True)
    model.generation_config = transformers.GenerationConfig(eos_token_id=chat.end[-1], pad_token_id=chat.end[-1])
    model.save_pretrained(scratch)
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
