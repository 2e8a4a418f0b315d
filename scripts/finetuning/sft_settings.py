"""How TRL is set up to fine-tune: the share of one process, adapters, and when to stop."""

import math
import os
import re
from pathlib import Path

import torch
from peft import LoraConfig
from transformers import TrainerCallback
from trl import SFTConfig

NO_TEXT = re.compile(r"(.*\.)?(vision|visual|audio|multi_modal)\w*\..*")  # parts of models such as Gemma 3


def settings(hyper: dict, fsdp: bool, scratch: Path) -> SFTConfig:
    """TRL's settings for one of the processes that share batch_size examples a step.

    A step's examples are drawn at random, as ever; within the step, those of like length go through the model together,
    in as many forwards as micro_batch_size asks for. Its gradient is the same, with far less padding.
    """
    on_gpu = torch.cuda.is_available()
    processes = int(os.environ.get("WORLD_SIZE", 1))
    accumulation, rest = divmod(hyper["batch_size"], hyper["micro_batch_size"] * processes)
    if rest:
        raise SystemExit(f"batch_size {hyper['batch_size']} cannot be shared by {processes} processes: see finetune")
    config = SFTConfig(
        output_dir=str(scratch),
        num_train_epochs=hyper["epochs"],
        learning_rate=hyper["learning_rate"],
        lr_scheduler_type=hyper["scheduler"],
        warmup_steps=hyper["warmup_steps"],
        weight_decay=hyper["weight_decay"],
        per_device_train_batch_size=hyper["micro_batch_size"],
        train_sampling_strategy="batch_rebalance",
        gradient_accumulation_steps=accumulation,
        # FSDP has its own way of computing activations twice
        gradient_checkpointing=hyper["gradient_checkpointing"] and not fsdp,
        fsdp=fsdp or None,
        fsdp_config={"activation_checkpointing": hyper["gradient_checkpointing"]} if fsdp else None,
        ddp_backend="gloo" if processes > 1 and not on_gpu else None,
        max_length=hyper["max_length"],
        seed=hyper["seed"],
        bf16=on_gpu,
        use_cpu=not on_gpu,
        save_strategy="no",  # but for those of sft_checkpoints.py
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    if config.n_gpu > 1:  # the Trainer would multiply the batch by their number
        raise SystemExit(f"one process sees {config.n_gpu} GPUs: set `processes` of the base, or CUDA_VISIBLE_DEVICES")
    return config


def adapters(lora: dict, model) -> LoraConfig:
    """Adapters on every linear layer but the head, and but those that read no text."""
    sees = any(NO_TEXT.match(name) for name, _ in model.named_modules())
    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules="all-linear",
        exclude_modules=NO_TEXT.pattern if sees else None,
        task_type="CAUSAL_LM",
    )


def text_alone(model):
    """The model, in which parts that read images or sound stay as they are: text gives them no gradient."""
    for name, weight in model.named_parameters():
        if NO_TEXT.match(name):
            weight.requires_grad_(False)
    return model


class OrderOfEpoch(TrainerCallback):
    """Tells the sampler its epoch: where several processes go on from a checkpoint, transformers 5.19 does not."""

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        sampler = train_dataloader.batch_sampler
        getattr(sampler, "batch_sampler", sampler).set_epoch(int(state.epoch))


class StopAtNaN(TrainerCallback):
    """A loss that is not a number ends the run: weights made from it are never published."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise NotANumber(f"loss {logs['loss']} at step {state.global_step}: lower finetune.learning_rate")


class NotANumber(Exception):
    """A loss is NaN or infinite."""


def is_first_process() -> bool:
    return int(os.environ.get("RANK", 0)) == 0
