"""Rows of any length through a model: grouped by length into batches, and given back in their order."""

from collections.abc import Callable

import torch

from scripts.likelihoods.chunked_head import output_head
from scripts.likelihoods.forward_pass import score_answer
from scripts.models.batching import batches, longest_together
from scripts.models.loading import device, halve_if_out_of_memory


def direct_nlls(model, rows: list[tuple[list[int], list[int]]], batch_tokens: int) -> list[torch.Tensor]:
    """nll in nats (float64) of the scored ids of each row."""
    head = output_head(model)
    return in_batches(model, rows, batch_tokens, lambda rows: score_answer(model, head, rows))


def in_batches(model, rows: list[tuple[list[int], ...]], batch_tokens: int, score: Callable[[list], list]) -> list:
    """score(rows) of rows grouped by length, in the order of the rows."""
    scores, lengths = [None] * len(rows), [sum(map(len, row)) for row in rows]
    for batch in batches(lengths, batch_tokens, longest_together(model.config)):
        for i, scored in zip(batch, halve_if_out_of_memory(score, [rows[i] for i in batch]), strict=True):
            scores[i] = scored
    return scores


@torch.inference_mode()
def nll_alone(model, row: list[int]) -> torch.Tensor:
    """nll of the tokens of one row after its first, from the model's own logits, without padding or mask."""
    ids = torch.tensor([row], device=device())
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
