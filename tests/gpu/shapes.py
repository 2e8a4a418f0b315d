"""Models of published shapes with random weights, and rows of tokens: speed does not depend on the weights."""

import random
from dataclasses import dataclass

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from scripts.models.loading import device

FIELDS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
FIELDS += ("num_attention_heads", "num_key_value_heads", "head_dim")
# the four shapes that are fine-tuned; sizes are those of each model's config.json
PUBLISHED = {
    "qwen2-1.5b": ("qwen2", 151936, 1536, 8960, 28, 12, 2, 128),
    "gemma-2-2b": ("gemma2", 256000, 2304, 9216, 26, 8, 4, 256),
    "qwen2.5-3b": ("qwen2", 151936, 2048, 11008, 36, 16, 2, 128),
    "llama-3.2-3b": ("llama", 128256, 3072, 8192, 28, 24, 8, 128),
}
# smaller ones, on which float32 is compared with bfloat16
SMALL = {
    "llama-3.2-1b": ("llama", 128256, 2048, 8192, 16, 32, 8, 64),
    "qwen2.5-0.5b": ("qwen2", 151936, 896, 4864, 24, 14, 2, 64),
    "gemma-3-270m": ("gemma3_text", 262144, 640, 2048, 18, 4, 1, 256),
    "gemma-2-small": ("gemma2", 256000, 768, 3072, 8, 4, 2, 256),
}
TINY = (600, 32, 64, 2, 2, 1, 16)
PEAK = 989e12  # FLOP per second in bfloat16 without sparsity, H100 SXM and H200


@dataclass(frozen=True)
class Scale:
    """How much work a step does. `tiny` replaces every shape by one of 0.04 M parameters."""

    tiny: bool = False
    rows: int = 64  # rows that are scored in both precisions
    target: int = 160  # their longest target in tokens
    scored: int = 256  # rows on which speed is measured
    median: int = 400  # their median length in tokens
    longest: int = 4096
    warm_up: int = 2  # steps of fine-tuning before the clock starts
    timed: int = 4
    resumed: int = 60  # steps of the fine-tuning that is killed


FULL = Scale()
SMALLEST = Scale(True, rows=6, target=12, scored=12, median=40, longest=96, warm_up=1, timed=1, resumed=40)


def config_of(shape: str, scale: Scale, **options):
    kind, *sizes = (PUBLISHED | SMALL)[shape]
    fields = dict(zip(FIELDS, TINY if scale.tiny else sizes, strict=True))
    options = {"max_position_embeddings": scale.longest, "pad_token_id": 0, "tie_word_embeddings": True} | options
    return AutoConfig.for_model(kind, **fields, **options)


def new_model(shape: str, dtype: torch.dtype, scale: Scale, attention: str | None = None, **options):
    """A causal model of a shape; with num_labels a sequence classifier. Gemma 2 has capped attention, hence `eager`."""
    config = config_of(shape, scale, **options)
    auto = AutoModelForSequenceClassification if "num_labels" in options else AutoModelForCausalLM
    attention = attention or ("eager" if config.model_type == "gemma2" else "sdpa")
    torch.manual_seed(0)
    with torch.device(device()):
        return auto.from_config(config, dtype=dtype, attn_implementation=attention)


def lengths(n: int, scale: Scale) -> list[int]:
    """Log-normal lengths (sigma 0.7), between 16 tokens and the longest."""
    rng = random.Random(0)
    return [min(max(16, round(scale.median * rng.lognormvariate(0, 0.7))), scale.longest) for _ in range(n)]


def random_pairs(n: int, vocabulary: int, scale: Scale) -> list[tuple[list[int], list[int]]]:
    """(context, target) of random token ids, a tenth of each row context."""
    rng, pairs = random.Random(1), []
    for length in lengths(n, scale):
        ids = [rng.randrange(5, vocabulary) for _ in range(length)]
        pairs.append((ids[: length // 10], ids[length // 10 :]))
    return pairs


def reset_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib() -> float | None:
    """Most GPU memory since reset_memory, everything included; None on a CPU."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None


def used_gib() -> float:
    return torch.cuda.memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def share_of_peak(flop_per_second: float) -> float | None:
    """MFU; None on a card whose peak is not PEAK."""
    known = torch.cuda.is_available() and any(name in torch.cuda.get_device_name() for name in ("H100", "H200"))
    return flop_per_second / PEAK if known else None
