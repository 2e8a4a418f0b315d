"""The small Llama models of the miniature study, trained from random weights with TRL."""

import shutil
from pathlib import Path

import datasets
import transformers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from scripts.miniature.miniature_tokenizer import CONTEXT
from scripts.models.folder import publish


def new_llama(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,  # head size 32, the smallest that vLLM supports
        max_position_embeddings=CONTEXT,
        initializer_range=0.05,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 100.0,
        },  # rows are short: the model learns to copy sooner
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def trainer_settings(size: dict, seed: int, scratch: Path) -> dict:
    """The settings that SFTConfig and RewardConfig share here."""
    return {
        "output_dir": str(scratch),
        "learning_rate": size["learning_rate"],
        "lr_scheduler_type": "cosine",
        "warmup_steps": 20,
        "per_device_train_batch_size": size["batch"],
        "max_length": CONTEXT,
        "adam_beta2": 0.98,
        "num_train_epochs": 1,
        "seed": seed,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "logging_steps": 50,
        "report_to": "none",
        "disable_tqdm": True,
    }


def train_language_model(
    tokenizer, size: dict, seed: int, examples: list[dict], folders: dict[int, Path], start: Path | None = None
) -> None:
    """Train a causal Llama on examples of input_ids and labels, in steps of size["batch"] of them.

    `folders` has the folder in which the model is published after each of some steps. The new model has the width and
    depth of `size`. With `start`, training starts from the model in that folder, and layers are added up to the depth
    of `size`. The examples of a step are grouped by length into two forward passes, which need less padding.
    """
    folder = folders[max(folders)]
    scratch = folder.with_name(f".{folder.name}.tmp")
    transformers.set_seed(seed)
    if start:
        model = LlamaForCausalLM.from_pretrained(start, num_hidden_layers=size["layers"])
    else:
        model = new_llama(tokenizer, size["hidden"], size["layers"])
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    config = SFTConfig(
        **trainer_settings(size | {"batch": size["batch"] // 2}, seed, scratch),
        gradient_accumulation_steps=2,
        train_sampling_strategy="batch_rebalance",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    SFTTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples),
        processing_class=tokenizer,
        callbacks=[PublishAtSteps(tokenizer, folders, scratch)],
    ).train()


class PublishAtSteps(TrainerCallback):
    """Publish the model after each step that has a folder."""

    def __init__(self, tokenizer, folders: dict[int, Path], scratch: Path):
        self.tokenizer, self.folders, self.scratch = tokenizer, folders, scratch

    def on_step_end(self, args, state, control, model, **_):
        if state.global_step in self.folders:
            save(model, self.tokenizer, self.scratch, self.folders[state.global_step])


def save(model, tokenizer, scratch: Path, folder: Path) -> None:
    """Save the model in `scratch`, then publish it in `folder`."""
    shutil.rmtree(scratch, ignore_errors=True)
    model.save_pretrained(scratch)
    tokenizer.save_pretrained(scratch)
    publish(scratch, folder, parameters=model.num_parameters())
