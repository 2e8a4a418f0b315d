"""What a finished training run leaves: the model's weights, its folder, and facts for its manifest."""

import shutil
from pathlib import Path

from transformers import GenerationConfig
from trl import SFTTrainer

from scripts.models.chat import Chat


def gathered_weights(trainer: SFTTrainer) -> dict:
    """Name to weight, where the processes share the weights (FSDP). Every process has to call it."""
    return trainer.accelerator.get_state_dict(trainer.model)


def trained_model(trainer: SFTTrainer, lora: dict | None):
    """The model, with its adapters merged: in float32, since merging in bfloat16 would round them away."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return model.cpu().float().merge_and_unload() if lora else model


def save(model, weights: dict | None, precision, chat: Chat, folder: Path) -> None:
    """Save the model, the tokenizer with its chat template, and greedy decoding. `weights` replace the model's own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.generation_config = GenerationConfig(eos_token_id=chat.end[-1], pad_token_id=chat.end[-1])
    if weights is None:
        model.to(precision).save_pretrained(folder)
    else:
        model.config.dtype = precision
        model.save_pretrained(folder, state_dict={name: weight.to(precision) for name, weight in weights.items()})
    chat.tokenizer.save_pretrained(folder)


def facts_of_training(trainer: SFTTrainer, lora: dict | None) -> dict:
    """How the model was trained, and the first and the last loss (mean nats per token of a step)."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    used = trainer.args
    return {
        "treatment": "lora" if lora else "full",
        "processes": used.world_size,
        "batch_size": used.world_size * used.per_device_train_batch_size * used.gradient_accumulation_steps,
        "steps": trainer.state.global_step,
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }
