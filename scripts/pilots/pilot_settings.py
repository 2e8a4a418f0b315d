"""What differs between a pilot and the training of a student: the number of steps, and with it the warm-up."""

import math

WARMUP_SHARE = 0.1  # largest share of a pilot's steps


def steps_of(examples: int, finetune: dict) -> int:
    """Optimizer steps of a training with so many examples, for the keys epochs and batch_size."""
    return max(1, math.ceil(finetune["epochs"] * math.ceil(examples / finetune["batch_size"])))


def warmup_of(examples: int, finetune: dict) -> int:
    """Steps of warm-up: `warmup_steps`, but at most a share of all steps; a few steps would never leave the warm-up."""
    return min(finetune["warmup_steps"], round(WARMUP_SHARE * steps_of(examples, finetune)))
