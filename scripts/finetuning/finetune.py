"""Fine-tune a base model on a teacher's responses with TRL, the loss on the response alone.

python -m scripts.finetuning.finetune \
    --base alpha --teacher terse-large \
    --model '{"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}' \
    --hyperparameters '{"epochs": 2, "learning_rate": 2e-5}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet \
    --scratch results/miniature/rows/finetune/alpha/terse-large \
    --manifest results/miniature/checkpoints/alpha/terse-large/manifest.json
torchrun --standalone --nproc-per-node 4 -m scripts.finetuning.finetune ... with several GPUs

The checkpoint is an ordinary model folder with the base's chat template; its manifest is written last. Weights are
trained in float32, under bfloat16 autocast where there is a GPU, and saved in the base's own precision. With `lora`,
adapters are trained in float32 over frozen weights in the base's own precision, and merged. However many processes
share the work, a step has batch_size examples and its loss is the mean over their tokens. Defaults are those of the
paper's Table 5. A run that was cut off goes on from its last whole checkpoint and ends in the same weights. One whose
loss is no number ends in a manifest that says so, without a model.
"""

import argparse
import os
import shutil
from pathlib import Path

import datasets
import torch
import transformers
import trl
from transformers import AutoModelForCausalLM
from trl import SFTTrainer

from scripts.configuration.entries import FINETUNE_KEYS, default_of, entry_of, keys_of
from scripts.finetuning.sft_checkpoints import SaveByTheClock, last_whole, only_writer
from scripts.finetuning.sft_examples import digest_of_examples, encode_examples, read_pairs
from scripts.finetuning.sft_settings import (
    NotANumber,
    OrderOfEpoch,
    StopAtNaN,
    adapters,
    is_first_process,
    settings,
    text_alone,
)
from scripts.jobs.parent_death import die_with_parent
from scripts.models.chat import Chat, load_tokenizer
from scripts.models.folder import key_of, publish, publish_again, publish_failure
from scripts.models.loading import context_length, load_config, pretrained, whole_model
from scripts.tables.digests import digest
from scripts.tables.files import write_json

VERSION = 1
VERSIONS = {module.__name__: module.__version__ for module in (torch, transformers, trl)}


def main():
    args = parse_args()
    spec, hyper = args.model, args.hyperparameters
    tokenizer = load_tokenizer(**pretrained(spec), chat_template=spec["chat_template"])
    chat = Chat(tokenizer)
    config = load_config(**pretrained(spec))
    longest = min(hyper["max_length"], context_length(config))
    examples, counts = encode_examples(chat, read_pairs(args.instructions, args.responses), longest)
    if not examples:
        raise SystemExit(f"nothing to train {args.base} on: {counts}")
    print(f"{args.base} on {args.teacher}: {counts}", flush=True)
    key = digest([VERSION, key_of(spec), hyper, digest_of_examples(examples), os.environ.get("WORLD_SIZE")])
    published = args.scratch / f"{key[:24]}.json"
    if publish_again(published, args.manifest.parent, **counts):
        print("this model is there already: nothing to train")
        return
    scratch = args.scratch / digest([key, VERSIONS])[:24]  # other versions do not continue each other's checkpoints
    lock = only_writer(scratch) if is_first_process() else None
    precision = config.dtype or torch.float32
    try:
        trainer = train(spec, tokenizer, examples, hyper, precision, scratch, args.checkpoint_minutes)
    except NotANumber as error:
        if is_first_process():
            print(error)
            publish_failure(str(error), args.manifest.parent)
            shutil.rmtree(scratch)
        return
    state = trainer.accelerator.get_state_dict(trainer.model) if spec["fsdp"] else None  # takes every process
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if spec["lora"]:
        model = model.cpu().float().merge_and_unload()  # in bfloat16 the merged weights would round the adapters away
    save(model, state, precision, tokenizer, chat, scratch / "model")
    manifest = publish(scratch / "model", args.manifest.parent, **counts, **facts_of(trainer, spec))
    write_json(manifest, published)
    shutil.rmtree(scratch)
    lock.close()


def facts_of(trainer: SFTTrainer, spec: dict) -> dict:
    """What the manifest tells of a training."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    of_run = trainer.args
    return {
        "treatment": "lora" if spec["lora"] else "full",
        "processes": of_run.world_size,
        "batch_size": of_run.world_size * of_run.per_device_train_batch_size * of_run.gradient_accumulation_steps,
        "steps": trainer.state.global_step,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "versions": VERSIONS,
    }


def train(
    spec: dict, tokenizer, examples: list[dict], hyper: dict, precision, scratch: Path, minutes: float
) -> SFTTrainer:
    """The trainer after its last step. `precision` is the base's own, in which frozen weights are kept.

    Every so many minutes all of its state goes to a checkpoint in `scratch`; it goes on from the last whole one.
    """
    lora = spec["lora"]
    config = settings(hyper | ({"learning_rate": lora["learning_rate"]} if lora else {}), spec["fsdp"], scratch)
    dtype = precision if lora and not config.use_cpu else torch.float32
    model = text_alone(whole_model(AutoModelForCausalLM, dtype=dtype, **pretrained(spec)))
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples).shuffle(seed=hyper["seed"]),
        processing_class=tokenizer,
        callbacks=[OrderOfEpoch(), StopAtNaN(), SaveByTheClock(minutes)],
        peft_config=adapters(lora, model) if lora else None,
    )
    try:
        trainer.train(resume_from_checkpoint=last_whole(scratch))
    except torch.OutOfMemoryError as error:
        smaller = "lower finetune.micro_batch_size, or give the base `lora` or `fsdp`"
        raise SystemExit(f"fine-tuning does not fit into memory: {smaller} ({str(error).splitlines()[0]})") from None
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
    base, section = entry_of("base", *FINETUNE_KEYS, lora=None), keys_of("finetune", "checkpoint_minutes")
    parser.add_argument("--model", type=base, required=True, help="model, chat_template ... as JSON")
    parser.add_argument("--hyperparameters", type=entry_of("finetune", *section), default="{}", help="as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--scratch", type=Path, required=True, help="folder of the checkpoints of an unfinished run")
    minutes = default_of("finetune", "checkpoint_minutes")
    parser.add_argument("--checkpoint-minutes", type=float, default=minutes, help="time between two of them")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json of the checkpoint folder")
    return parser.parse_args()


if __name__ == "__main__":
    die_with_parent()  # a process of torchrun, too, which run_job.py does not see
    main()
