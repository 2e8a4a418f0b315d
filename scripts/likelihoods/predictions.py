"""What a model predicts at single positions: the token that follows, its rank, and how sure the model is.

logits are (n, vocabulary) in float32, targets (n); all results are (n) on the CPU.
"""

from typing import NamedTuple

import torch

RANK_LIMIT = 100  # of ranks (2601.14249, rsr_cal.py)
TOP = 50  # tokens that the Brier score is computed from (2605.30651, lark/score_lark.py)


class Predictions(NamedTuple):
    nll: torch.Tensor  # nats, float64
    rank: torch.Tensor  # 1 is most likely, at most RANK_LIMIT
    entropy: torch.Tensor  # of the prediction, nats, float64
    brier: torch.Tensor  # (sum of p^2) + 1 - 2 p(target) over the TOP most likely tokens, whose p are made to sum to 1


def predict(logits: torch.Tensor, targets: torch.Tensor) -> Predictions:
    rank = (logits > logits.gather(1, targets[:, None])).sum(1).add(1).clamp(max=RANK_LIMIT)
    return Predictions(
        *nll_of(logits, targets),
        rank.cpu(),
        torch.special.entr(logits.softmax(-1)).sum(-1).double().cpu(),
        brier_of(logits, targets).double().cpu(),
    )


def nll_of(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor]:
    """nll alone, in nats (float64)."""
    return (torch.nn.functional.cross_entropy(logits, targets, reduction="none").double().cpu(),)


def brier_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The Brier score: p(target) is 0 if it is not among the TOP most likely tokens."""
    top, which = logits.topk(min(TOP, logits.shape[-1]), dim=-1)
    p = top.softmax(-1)
    return 1 - 2 * (p * (which == targets[:, None])).sum(-1) + (p * p).sum(-1)
