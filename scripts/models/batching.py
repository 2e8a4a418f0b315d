"""Rows in batches: grouped by length, padded, and compared once with what the model computes for each row alone."""

from collections.abc import Callable

import torch

from scripts.models.loading import device

# two rows of unequal length; every vocabulary has these ids
PROBE = [[5, 6, 7, 8, 9], [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22]]


def batches(lengths: list[int], tokens: int, longest_together: int = 10**9) -> list[list[int]]:
    """Row numbers grouped by length, so that a padded batch has at most `tokens` tokens, or only one row.

    A row longer than `longest_together` is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i), reverse=True)
    groups: list[list[int]] = []
    for i in order:
        first = lengths[groups[-1][0]] if groups else 0
        if groups and first <= longest_together and (len(groups[-1]) + 1) * first <= tokens:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def pad_left(rows: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask of shape (rows, longest row), padded on the left, as generation needs it."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=device())
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device())
    return ids, mask


def pad_right(rows: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask of shape (rows, longest row), padded on the right.

    Every token then has the position and, in causal models, the context that it has without padding: also in encoders,
    and in models that read from left to right with a state (RWKV), which padding on the left changes.
    """
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device())
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device())
    return ids, mask


def longest_together(config) -> int:
    """The longest row, in tokens, that may share a batch with others.

    Rotary positions that depend on the longest row of a batch (dynamic NTK, LongRoPE of Phi 3) change at this length.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = rope.values() if all(isinstance(value, dict) for value in rope.values()) else [rope]
    changing = [kind for kind in kinds if kind.get("rope_type") in ("dynamic", "longrope")]
    limits = [
        kind.get("original_max_position_embeddings")
        or getattr(text, "original_max_position_embeddings", None)
        or text.max_position_embeddings
        for kind in changing
    ]
    return min(limits, default=10**9)


def batch_size_that_agrees(run: Callable[[list], list[torch.Tensor]], alone: Callable, tokens: int, name: str) -> int:
    """`tokens` if the model gives the rows of PROBE the same in a batch (`run`) as each by itself (`alone`), else 1.

    With 1 every row is a batch of its own, which is slow and right; a line says so.
    """
    together, separate = run(PROBE), [alone(row) for row in PROBE]
    if all(agree(a, b) for a, b in zip(together, separate, strict=True)):
        return tokens
    print(f"{name} computes something else for rows in a batch than for each alone: one row at a time", flush=True)
    return 1


@torch.inference_mode()
def refuse_unless_causal(model, name: str) -> None:
    """Exit if what a model predicts depends on tokens that come later, as in BERT and XLNet."""
    row = PROBE[1]
    half, whole = (model(input_ids=torch.tensor([ids], device=device())).logits[0] for ids in (row[:6], row))
    if not agree(half.float(), whole[:6].float()):
        raise SystemExit(f"{name} is not a causal language model: what it predicts depends on the tokens that follow")


def agree(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two results for the same row differ by no more than rounding: of float32, or of bfloat16 on a GPU."""
    a, b = a.double().flatten(), b.double().flatten()
    spread = b.std().item() if b.numel() > 1 else max(b.abs().item(), 1e-3 if device() == "cpu" else 1.0)
    return (a - b).abs().mean().item() <= (1e-3 if device() == "cpu" else 0.1) * spread
