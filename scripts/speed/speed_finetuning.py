"""Benchmark of fine-tuning: the workflow's settings, and TRL's padding of random micro-batches, on equal examples."""

import random
import tempfile
from pathlib import Path

import datasets
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from trl import SFTTrainer

from scripts.finetuning.sft_settings import OrderOfEpoch, settings
from scripts.miniature.miniature_models import new_llama
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models.loading import device
from scripts.speed.speed_scoring import chat, texts

HYPER = {
    "epochs": 1,
    "learning_rate": 1e-3,
    "scheduler": "cosine",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "batch_size": 32,
    "micro_batch_size": 8,
    "max_length": 512,
    "gradient_checkpointing": False,
    "seed": 0,
}
HELD_OUT = 64
# name: model type, vocabulary, hidden size, intermediate size, layers, heads, key-value heads, tied embeddings;
# the published shapes with random weights, since speed does not depend on them
SHAPES = {
    "qwen2-1.5b": ("qwen2", 151936, 1536, 8960, 28, 12, 2, True),
    "gemma-2-2b": ("gemma2", 256000, 2304, 9216, 26, 8, 4, True),
    "qwen2.5-3b": ("qwen2", 151936, 2048, 11008, 36, 16, 2, True),
    "llama-3.2-3b": ("llama", 128256, 3072, 8192, 28, 24, 8, True),
}


def trainer(method: str, model, examples: list[dict], hyper: dict) -> SFTTrainer:
    """TRL's trainer with batches of similar length ("grouped") or of random rows ("padded")."""
    config = settings(hyper, False, Path(tempfile.mkdtemp()))
    if method == "padded":
        config.train_sampling_strategy = "random"
    config.disable_tqdm = True
    data = datasets.Dataset.from_list(examples).shuffle(seed=hyper["seed"])
    callbacks = [] if method == "padded" else [OrderOfEpoch()]
    sft = SFTTrainer(
        model=model, args=config, train_dataset=data, processing_class=byte_tokenizer(), callbacks=callbacks
    )
    sft.log = lambda *args, **kwargs: None
    return sft


def finetuning(method: str, hidden: int, layers: int, rows: int, answers: int, spread: float, seed: int):
    """One epoch; the work returns the loss per token on held-out examples."""
    torch.manual_seed(0)
    model, text = new_llama(byte_tokenizer(), hidden, layers), chat()
    examples = []
    for row in texts(rows + HELD_OUT, answers, spread):
        prompt, response, end = text.example(**row)
        ids = (prompt + response + end)[: HYPER["max_length"]]
        examples.append({"input_ids": ids, "labels": [-100] * len(prompt) + ids[len(prompt) :]})
    sft = trainer(method, model, examples[HELD_OUT:], HYPER | {"seed": seed})

    def work() -> list[float]:
        sft.train()
        with torch.inference_mode():
            sft.model.eval()
            sums = [loss_of(sft.model, example) for example in examples[:HELD_OUT]]
        return [sum(nll for nll, _ in sums) / sum(n for _, n in sums)]

    return work


def loss_of(model, example: dict) -> tuple[float, int]:
    """Sum of nll (nats) over the response of one example, and its number of tokens."""
    ids, labels = (torch.tensor(example[name], device=model.device) for name in ("input_ids", "labels"))
    logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1].float()
    scored = labels[1:] != -100
    nll = torch.nn.functional.cross_entropy(logits[scored], labels[1:][scored], reduction="sum")
    return nll.item(), int(scored.sum())


def real_shape(shape: str, rows: int, longest: int):
    """Fine-tuning a model of a shape in SHAPES on random tokens.

    The work returns the number of parameters, the tokens without padding, their FLOP, and the peak MiB of the GPU.
    Lengths are log-normal (median 400, sigma 0.7, at most `longest`). FLOP per token: 6 per parameter, and for
    attention 6 * layers * width * length (causal: half of all pairs of positions).
    """
    model_type, vocabulary, width, inner, layers, heads, groups, tied = SHAPES[shape]
    config = AutoConfig.for_model(
        model_type,
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        tie_word_embeddings=tied,
        max_position_embeddings=longest,
    )
    with torch.device(device()):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    rng, examples = random.Random(0), []
    for n in (min(max(16, round(rng.lognormvariate(6, 0.7))), longest) for _ in range(rows)):
        ids = [rng.randrange(vocabulary) for _ in range(n)]
        examples.append({"input_ids": ids, "labels": [-100] * (n // 10) + ids[n // 10 :]})
    hyper = HYPER | {"micro_batch_size": 4, "max_length": longest, "gradient_checkpointing": True}
    sft = trainer("grouped", model, examples, hyper)
    lengths, size = [len(example["input_ids"]) for example in examples], model.num_parameters()

    def work() -> list[float]:
        sft.train()
        flop = sum(6 * n * (size + layers * width * n) for n in lengths)
        return [size, sum(lengths), flop, torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0]

    return work
