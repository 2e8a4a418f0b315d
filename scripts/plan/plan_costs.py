"""What a job will cost, from the sizes of models and texts: FLOP, GPU-seconds, dollars, bytes.

A forward of a token takes 2 FLOP a parameter, training 6. The shares of a GPU's peak that stages reach are those of
tuned runs on an H100: 12,500 tokens a second of an 8B model in vLLM, 38 % of the peak in TRL's fine-tuning. Timings of
jobs that have run replace them (plan_study.py).
"""

from dataclasses import astuple, dataclass

from scripts.configuration.config_engines import is_endpoint

PEAK = {"h200": 989e12, "h100": 989e12, "a100": 312e12, "l40s": 362e12, "rtx4090": 165e12, "l4": 121e12}  # bf16
MEMORY = {"h200": 141, "h100": 80, "a100": 80, "l40s": 48, "rtx4090": 24, "l4": 24}  # GB
SHARE = {"generate": 0.21, "score": 0.35, "train": 0.38}  # of the peak
JUDGED = {"alpaca_eval": (1500, 1), "arena_hard": (4000, 1200)}  # tokens read and written a prompt, all games
START = 60  # seconds until a model answers


@dataclass
class Cost:
    """Of a job or of several: `seconds` are those of all their GPUs together, `bytes` what stays on the disk."""

    tokens: float = 0
    flop: float = 0
    seconds: float = 0
    usd: float = 0
    bytes: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def on_gpu(kind: str, flop: float, tokens: float, gpu: str) -> Cost:
    """A job of a kind of SHARE, with the start of its model."""
    return Cost(tokens=tokens, flop=flop, seconds=START + flop / (PEAK[gpu] * SHARE[kind]))


def generating(entry: dict, size: float, rows: float, read: float, written: float, gpu: str, prices: dict) -> Cost:
    """A model of that size, or an endpoint, reads and writes so many tokens a row."""
    tokens = rows * (read + written)
    if is_endpoint(entry):
        price = prices.get(entry["model"], {"input": 0, "output": 0})
        return Cost(tokens=tokens, usd=rows * (read * price["input"] + written * price["output"]) / 1e6)
    return on_gpu("generate", 2 * size * tokens, tokens, gpu)


def scoring(size: float, tokens: float, gpu: str) -> Cost:
    return on_gpu("score", 2 * size * tokens, tokens, gpu)


def training(size: float, tokens: float, gpu: str) -> Cost:
    """The checkpoint that stays has 16 bits a parameter."""
    return on_gpu("train", 6 * size * tokens, tokens, gpu) + Cost(bytes=2 * size)


def lacking(gigabytes: float, gpus: int, gpu: str) -> str | None:
    """What is missing where a model fills more than 90 % of the GPUs that share it."""
    there = 0.9 * MEMORY[gpu] * max(gpus, 1)
    return f"needs {gigabytes:.0f} GB, and {max(gpus, 1)} x {gpu} hold {there:.0f}" if gigabytes > there else None
