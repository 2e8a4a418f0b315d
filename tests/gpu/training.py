"""Fine-tuning of published shapes with the product's settings: speed, MFU and memory."""

import inspect
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import datasets
import torch
from transformers import AttentionInterface, TrainerCallback
from trl import SFTTrainer

from scripts.finetuning.sft_settings import OrderOfEpoch, settings
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from tests.gpu.shapes import Scale, new_model, peak_gib, random_pairs, reset_memory, share_of_peak, synchronize

HYPER = {  # the defaults of config/schema.yaml
    "epochs": 1,
    "learning_rate": 2e-5,
    "scheduler": "cosine",
    "warmup_steps": 100,
    "weight_decay": 0.0,
    "batch_size": 32,
    "micro_batch_size": 4,
    "max_length": 4096,
    "gradient_checkpointing": True,
    "seed": 0,
}


def speed(shape: str, scale: Scale, attention: str | None = None, trl: dict | None = None, **hyper):
    """Tokens per second, MFU and memory of some steps; `trl` replaces settings of the product's SFTConfig.

    MFU counts tokens that are not padding, 6 FLOP per parameter and token; mfu_with_attention adds 6 * layers * width *
    length per token, the causal half. The first loss and gradient norm should not depend on how they are computed.
    """
    model = new_model(shape, torch.float32, scale, attention)
    rows = random_pairs(HYPER["batch_size"] * (scale.warm_up + scale.timed), model.config.vocab_size, scale)
    parameters, clock = model.num_parameters(), Clock(model)
    with tempfile.TemporaryDirectory() as folder, unchanged_module(model):
        config = changed(settings(HYPER | hyper, False, Path(folder)), trl or {})
        trainer = new_trainer(model, config, rows, clock)
        reset_memory()
        try:
            trainer.train()
        finally:
            peak = peak_gib()
            release(trainer)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    measured = clock.speed(logged, scale.warm_up)
    yield {
        "parameters": parameters,
        **measured,
        **mfu(model.config, parameters, measured["tokens_per_second"], [len(c) + len(t) for c, t in rows]),
        "peak_gib": peak,
        "first_loss": logged[0]["loss"],
        "first_gradient_norm": logged[0]["grad_norm"],
        "settings": {"attention": model.config._attn_implementation, **hyper, **(trl or {})},
    }


def new_trainer(model, config, rows: list[tuple], clock: "Clock") -> SFTTrainer:
    """The trainer that finetune.py makes of a model, here one that is on the GPU already."""
    examples = [{"input_ids": c + t, "labels": [-100] * len(c) + t} for c, t in rows]
    return SFTTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples).shuffle(seed=0),
        processing_class=byte_tokenizer(),
        callbacks=[OrderOfEpoch(), clock],
    )


def release(trainer: SFTTrainer) -> None:
    """Free the memory of weights, gradients and moments, whoever still refers to them."""
    if trainer.optimizer is not None:
        trainer.optimizer.state.clear()
    trainer.model.zero_grad()
    trainer.model.to("meta")


def changed(config, options: dict):
    for name, value in ({"disable_tqdm": True} | options).items():
        setattr(config, name, value)
    return config


@contextmanager
def unchanged_module(model):
    """Undo what Liger replaces in the module of the model's class, for the models that come later."""
    module = vars(sys.modules[type(model).__module__])
    before = dict(module)
    try:
        yield
    finally:
        module.update(before)


def mfu(config, parameters: int, per_second: float, lengths: list[int]) -> dict:
    width = config.num_attention_heads * config.head_dim
    attention = config.num_hidden_layers * width * sum(n * n for n in lengths) / sum(lengths)
    return {
        "mfu_6n": share_of_peak(6 * parameters * per_second),
        "mfu_with_attention": share_of_peak(6 * (parameters + attention) * per_second),
    }


class Clock(TrainerCallback):
    """When each step ended, and how many positions, padding included, went through the model until then."""

    def __init__(self, model):
        self.ends, self.positions, self.forwards, self.positions_at_end = [], 0, 0, []
        model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, model, args, kwargs):
        self.positions += kwargs["input_ids"].numel()
        self.forwards += 1

    def on_step_end(self, args, state, control, **kwargs):
        synchronize()
        self.ends.append(time.perf_counter())
        self.positions_at_end.append(self.positions)

    def speed(self, logged: list[dict], warm_up: int) -> dict:
        """Figures of the steps after the first `warm_up`."""
        seconds = self.ends[-1] - self.ends[warm_up - 1]
        tokens = logged[-1]["num_tokens"] - logged[warm_up - 1]["num_tokens"]
        return {
            "tokens_per_second": tokens / seconds,
            "tokens": tokens,
            "padding_share": 1 - tokens / (self.positions_at_end[-1] - self.positions_at_end[warm_up - 1]),
            "seconds_per_step": seconds / (len(self.ends) - warm_up),
            "positions_per_forward": self.positions / self.forwards,
        }


def end_to_end(module, query, key, value, attention_mask, cu_seq_lens_q=None, max_length_q=None, **kwargs):
    """Attention over rows put end to end without padding, each row on its own: PyTorch's own FlashAttention.

    query, key and value have shape (1, heads, tokens, width). On a CPU, one row after the other.
    """
    dtype = torch.bfloat16 if query.is_cuda else query.dtype
    query, key, value = (x[0].transpose(0, 1).to(dtype).contiguous() for x in (query, key, value))
    if query.is_cuda:
        return varlen(query, key, value, cu_seq_lens_q, int(max_length_q))[None], None
    sizes = cu_seq_lens_q.diff().tolist()
    rows = zip(*(x.split(sizes) for x in (query, key, value)), strict=True)
    attend = torch.nn.functional.scaled_dot_product_attention
    out = [attend(*(x.transpose(0, 1) for x in row), is_causal=True, enable_gqa=True).transpose(0, 1) for row in rows]
    return torch.cat(out)[None], None


def varlen(query, key, value, starts, longest: int):
    from torch.nn.attention.varlen import varlen_attn  # torch 2.10 or newer

    known = inspect.signature(varlen_attn).parameters
    options = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    if "enable_gqa" in known:
        options["enable_gqa"] = True
    else:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    return varlen_attn(query, key, value, starts, starts, longest, longest, **options)


AttentionInterface.register("end_to_end", end_to_end)
END_TO_END = {"attention": "end_to_end", "trl": {"padding_free": True, "max_length": None}}
