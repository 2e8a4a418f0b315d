"""Fine-tune a base model on a teacher's responses with TRL. Only tokens of the response count in the loss.

python -m scripts.finetuning.finetune \
    --base alpha --teacher terse-large \
    --model '{"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}' \
    --hyperparameters '{"epochs": 2, "learning_rate": 2e-5}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet \
    --scratch results/miniature/rows/finetune/alpha/terse-large \
    --manifest results/miniature/checkpoints/alpha/terse-large/manifest.json
torchrun --standalone --nproc-per-node 4 -m scripts.finetuning.finetune ... with several GPUs

The result is an ordinary model folder with the base's chat template; its manifest is written last. Weights are trained
in float32, under bfloat16 autocast on a GPU, and saved in the base's own precision. With `lora`, adapters are trained
in float32 on top of frozen weights in the base's own precision, and then merged. Whatever the number of processes, a
step has batch_size examples and its loss is the mean over their tokens. Defaults are those of the paper's Table 5. An
interrupted run resumes from its last complete checkpoint and ends in the same weights. If the loss becomes NaN or
infinite, the manifest says so and there is no model.
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
from scripts.finetuning.sft_checkpoints import SaveAtIntervals, last_complete, lock_scratch
from scripts.finetuning.sft_examples import digest_of_examples, encode_examples, read_pairs
from scripts.finetuning.sft_result import facts_of_training, gathered_weights, save, trained_model
from scripts.finetuning.sft_settings import (
    LossNotFinite,
    OrderOfEpoch,
    StopAtNaN,
    is_first_process,
    settings,
)
from scripts.models.chat import Chat
from scripts.models.folder import key_of, publish, publish_again, publish_failure
from scripts.models.loading import context_length, load_chat, load_complete_model, load_config, pretrained
from scripts.models.trained_parts import adapters, freeze_non_text_parts
from scripts.tables.digests import digest
from scripts.tables.text_files import write_json

VERSION = 2
VERSIONS = {module.__name__: module.__version__ for module in (torch, transformers, trl)}


def main():
    args = parse_args()
    entry, folder = args.model, args.manifest.parent
    chat = load_chat(entry)
    chat.refuse_for_base()
    config = load_config(**pretrained(entry))
    examples, counts = read_examples(args, chat, context_length(config))
    key = key_of_training(entry, args.hyperparameters, examples)
    finished = args.scratch / f"{key[:24]}.json"
    if publish_again(finished, folder, **counts):
        print("this model was trained before and its files are unchanged: nothing to train")
        return
    scratch = args.scratch / digest([key, VERSIONS])[:24]  # other versions do not resume each other's checkpoints
    lock = lock_scratch(scratch) if is_first_process() else None
    precision = config.dtype or torch.float32
    try:
        trainer = train(args, chat.tokenizer, examples, precision, scratch)
    except LossNotFinite as error:
        if is_first_process():
            print(error)
            publish_failure(str(error), folder)
            shutil.rmtree(scratch)
        return
    weights = gathered_weights(trainer) if entry["fsdp"] else None
    if is_first_process():
        save(trained_model(trainer, entry["lora"]), weights, precision, chat, scratch / "model")
        facts = facts_of_training(trainer, entry["lora"]) | {"versions": VERSIONS}
        manifest = publish(scratch / "model", folder, **counts, **facts)
        write_json(manifest, finished)
        shutil.rmtree(scratch)
        lock.close()


def read_examples(args: argparse.Namespace, chat: Chat, context: int) -> tuple[list[dict], dict[str, int]]:
    """The examples of encode_examples and their counts. Exits if there are none."""
    pairs = read_pairs(args.instructions, args.responses)
    examples, counts = encode_examples(chat, pairs, min(args.hyperparameters["max_length"], context))
    if not examples:
        raise SystemExit(f"{args.base} on {args.teacher}: no usable response to train on: {counts}")
    print(f"{args.base} on {args.teacher}: {counts}", flush=True)
    return examples, counts


def key_of_training(entry: dict, hyper: dict, examples: list[dict]) -> str:
    """A digest of everything that decides the weights, except the versions of the libraries."""
    return digest([VERSION, key_of(entry), hyper, digest_of_examples(examples), os.environ.get("WORLD_SIZE")])


def train(args: argparse.Namespace, tokenizer, examples: list[dict], precision, scratch: Path) -> SFTTrainer:
    """The trainer after its last step. `precision` is the base's own, in which frozen weights are kept.

    Its state is saved to a checkpoint in `scratch` at intervals; it resumes from the last complete one.
    """
    entry, hyper, lora = args.model, args.hyperparameters, args.model["lora"]
    config = settings(hyper | ({"learning_rate": lora["learning_rate"]} if lora else {}), entry["fsdp"], scratch)
    dtype = precision if lora and not config.use_cpu else torch.float32
    model = load_complete_model(AutoModelForCausalLM, dtype=dtype, **pretrained(entry))
    freeze_non_text_parts(model)
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples).shuffle(seed=hyper["seed"]),
        processing_class=tokenizer,
        callbacks=[OrderOfEpoch(), StopAtNaN(), SaveAtIntervals(args.checkpoint_minutes)],
        peft_config=adapters(lora, model) if lora else None,
    )
    try:
        trainer.train(resume_from_checkpoint=last_complete(scratch))
    except torch.OutOfMemoryError as error:
        smaller = "lower finetune.micro_batch_size, or set `lora` or `fsdp` for the base"
        raise SystemExit(f"fine-tuning does not fit into memory: {smaller} ({str(error).splitlines()[0]})") from None
    return trainer


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    base, section = entry_of("base", *FINETUNE_KEYS, lora=None), keys_of("finetune", "seeds", "checkpoint_minutes")
    parser.add_argument("--model", type=base, required=True, help="model, chat_template ... as JSON")
    parser.add_argument("--hyperparameters", type=entry_of("finetune", *section, seed=0), default="{}", help="as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for checkpoints of an unfinished run")
    minutes = default_of("finetune", "checkpoint_minutes")
    parser.add_argument("--checkpoint-minutes", type=float, default=minutes, help="minutes between two checkpoints")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json of the resulting model folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
