"""Settings for fine-tuning with TRL: batches, and when to stop."""

import math
import os
from pathlib import Path

import torch
from transformers import TrainerCallback
from trl import SFTConfig


def settings(hyper: dict, fsdp: bool, scratch: Path) -> SFTConfig:
    """TRL's settings for one of the processes that share the batch_size examples of a step.

    The examples of a step are drawn at random. Within the step they are grouped by length into batch_size /
    micro_batch_size forward passes: the gradient is the same, with much less padding.
    """
    on_gpu = torch.cuda.is_available()
    processes = int(os.environ.get("WORLD_SIZE", 1))
    accumulation, rest = divmod(hyper["batch_size"], hyper["micro_batch_size"] * processes)
    if rest:
        product = f"micro_batch_size ({hyper['micro_batch_size']}) x processes ({processes})"
        raise SystemExit(f"finetune.batch_size ({hyper['batch_size']}) must be a multiple of {product}")
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
        # FSDP has its own gradient checkpointing
        gradient_checkpointing=hyper["gradient_checkpointing"] and not fsdp,
        fsdp=fsdp or None,
        fsdp_config={"activation_checkpointing": hyper["gradient_checkpointing"]} if fsdp else None,
        ddp_backend="gloo" if processes > 1 and not on_gpu else None,
        max_length=hyper["max_length"],
        seed=hyper["seed"],
        bf16=on_gpu,
        use_cpu=not on_gpu,
        save_strategy="no",  # sft_checkpoints.py requests them
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    if config.n_gpu > 1:  # the Trainer would multiply the batch size by their number
        raise SystemExit(
            f"one process sees {config.n_gpu} GPUs: set `processes` for the base, or set CUDA_VISIBLE_DEVICES"
        )
    return config


class OrderOfEpoch(TrainerCallback):
    """Sets the sampler's epoch: transformers 5.19 does not, if several processes resume from a checkpoint."""

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        sampler = train_dataloader.batch_sampler
        getattr(sampler, "batch_sampler", sampler).set_epoch(int(state.epoch))


class StopAtNaN(TrainerCallback):
    """Ends the run if the loss is NaN or infinite: such weights are never published."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise LossNotFinite(f"loss {logs['loss']} at step {state.global_step}: lower finetune.learning_rate")


class LossNotFinite(Exception):
    """The loss is NaN or infinite."""


def is_first_process() -> bool:
    """Whether this is the process that writes files."""
    return int(os.environ.get("RANK", 0)) == 0
