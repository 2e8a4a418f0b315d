"""Formulas of cost, from the sizes of models and texts: FLOP, GPU-seconds, dollars, bytes.

A forward pass takes 2 FLOP per parameter and token, training 6. SHARE is the part of a GPU's peak that a stage reaches
in tuned runs on an H100: vLLM with an 8B model, 12,500 tokens per second; fine-tuning with TRL, 38 % of the peak.
Measured times of finished jobs replace these estimates (plan_study.py).
"""

from dataclasses import astuple, dataclass

PEAK = {"h200": 989e12, "h100": 989e12, "a100": 312e12, "l40s": 362e12, "rtx4090": 165e12, "l4": 121e12}  # bf16
SHARE = {"generate": 0.21, "score": 0.35, "train": 0.38}
MODEL_START = 60  # seconds


@dataclass
class Cost:
    """The cost of one or more jobs: `seconds` is the sum over their GPUs, `bytes` what remains on the disk."""

    jobs: int = 0
    tokens: float = 0
    flop: float = 0
    seconds: float = 0
    usd: float = 0
    bytes: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def expense(self) -> float:
        """Orders jobs: a GPU-second counts as much as a dollar."""
        return self.seconds + self.usd


def on_gpu(kind: str, flop: float, tokens: float, gpu: str) -> Cost:
    """A job of one kind of SHARE, with the start of its model."""
    return Cost(tokens=tokens, flop=flop, seconds=MODEL_START + flop / (PEAK[gpu] * SHARE[kind]))


def generating(size: float, tokens: float, gpu: str) -> Cost:
    """Reading and writing `tokens` with a model of `size` parameters."""
    return on_gpu("generate", 2 * size * tokens, tokens, gpu)


def asking(price: dict[str, float], rows: float, read: float, written: float, share: float = 1) -> Cost:
    """An endpoint reads and writes so many tokens per row, for a share of `price` (dollars per million tokens)."""
    usd = share * rows * (read * price["input"] + written * price["output"]) / 1e6
    return Cost(tokens=rows * (read + written), usd=usd)


def scoring(size: float, tokens: float, gpu: str) -> Cost:
    """One forward pass."""
    return on_gpu("score", 2 * size * tokens, tokens, gpu)


def differentiating(size: float, tokens: float, gpu: str, adapters: bool) -> Cost:
    """A forward pass and its gradients, three times the FLOP of a forward pass; twice for those of adapters only."""
    return on_gpu("train", (4 if adapters else 6) * size * tokens, tokens, gpu)


def projection_bytes(rows: float) -> float:
    """Disk space of projected gradients: 512 numbers, of 8 bytes in rows/ and of 4 in their table."""
    return rows * 512 * (8 + 4)


def text_bytes(tokens: float) -> float:
    """Disk space of texts in rows/ and in their table, at 4 bytes per token, without compression."""
    return 2 * 4 * tokens


def training(size: float, tokens: float, gpu: str) -> Cost:
    """All epochs; the checkpoint has 16 bits per parameter."""
    return on_gpu("train", 6 * size * tokens, tokens, gpu) + Cost(bytes=2 * size)
