"""How similar the tokens of an answer are to each other and to the prompt's inside a model: AA and AQ of SCAS.

Compared are the outputs of `mlp.up_proj` in the last block, each divided by its length (2605.26872,
scas/scoring/metric_utils.py). A model that has no layer of this name, as GPT-2 or a mixture of experts, has neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CHUNK = 256  # positions in float32 at a time


def up_projection(model) -> torch.nn.Module | None:
    """`mlp.up_proj` of the last block of the text model; None if there is not exactly one."""
    name = f"layers.{getattr(model.config.get_text_config(), 'num_hidden_layers', 0) - 1}.mlp.up_proj"
    found = [module for path, module in model.named_modules() if path == name or path.endswith(f".{name}")]
    return found[0] if len(found) == 1 else None


@contextmanager
def observed(layer: torch.nn.Module | None, groups: list[tuple[torch.Tensor, torch.Tensor]]) -> Iterator[list[tuple]]:
    """While a batch runs through the layer, the list that is yielded gets (AA, AQ) of each row; see similarities.

    groups: for each row of the batch the positions of the answer and of the prompt. (None, None) without a layer.
    """
    found = [(None, None)] * len(groups)
    if layer is None:
        yield found
        return

    def observe(module, inputs, output: torch.Tensor):
        if output.dim() == 3 and len(output) == len(groups):
            found[:] = [similarities(states, *at) for states, at in zip(output, groups, strict=True)]

    handle = layer.register_forward_hook(observe)
    try:
        yield found
    finally:
        handle.remove()


def similarities(states: torch.Tensor, answer: torch.Tensor, prompt: torch.Tensor) -> tuple[float | None, float | None]:
    """AA and AQ: the mean cosine of all pairs of answer tokens, and of each with each token of the prompt.

    states is (length, width); answer and prompt are positions. A mean over pairs is the product of two means, so no
    matrix of pairs is made. None without a token.
    """
    if not len(answer):
        return None, None
    mean = mean_direction(states, answer)
    return (mean @ mean).item(), (mean @ mean_direction(states, prompt)).item() if len(prompt) else None


def mean_direction(states: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The mean (width, in float64) of the states at some positions, each divided by its length."""
    total = sum(torch.nn.functional.normalize(states[part].float(), dim=-1).double().sum(0) for part in at.split(CHUNK))
    return total / len(at)
