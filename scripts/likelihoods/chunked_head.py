"""Log-probability and rank of tokens, with the logits of a few positions in memory at a time.

The logits of a complete batch are rows x length x vocabulary numbers: 8 GiB for 8,192 tokens with Gemma's vocabulary of
256,000. Here only positions that predict a scored token go through the output head, CHUNK positions at a time, so that
memory does not grow with the batch.
"""

from collections.abc import Callable

import torch

CHUNK = 256
PROBE = 8  # number of tokens on which an output head is compared with the model's own logits


def output_head(model) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function from the model's hidden states (n, width) to logits (n, vocabulary) in float32.

    Some architectures scale their logits (Cohere, Granite) or cap them (Gemma 2). Exits if the function does not
    reproduce the model's own logits.
    """
    config = model.config.get_text_config()
    scale = (getattr(config, "logit_scale", None) or 1) / (getattr(config, "logits_scaling", None) or 1)
    cap = getattr(config, "final_logit_softcapping", None)

    def head(hidden: torch.Tensor) -> torch.Tensor:
        logits = model.get_output_embeddings()(hidden).float() * scale
        return cap * torch.tanh(logits / cap) if cap else logits

    with torch.inference_mode():
        ids = torch.arange(PROBE, device=model.device)[None]
        own = model(input_ids=ids, use_cache=False).logits[0].float()
        ours = head(model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0])
    if not torch.allclose(ours, own, rtol=1e-2, atol=1e-2 * own.nan_to_num().abs().max().item(), equal_nan=True):
        name = type(model).__name__
        raise SystemExit(f"unsupported architecture {name}: its logits cannot be reproduced: use another model")
    return head


def nll_and_rank(head, hidden: torch.Tensor, targets: torch.Tensor, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    """nll in nats (float64) and rank (1 to `limit`, 1 is most likely) of targets (n) after hidden states (n, width)."""
    parts = [score_chunk(head(h), t, limit) for h, t in zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)]
    return tuple(torch.cat(values) for values in zip(*parts, strict=True))


def score_chunk(logits: torch.Tensor, targets: torch.Tensor, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    rank = (logits > logits.gather(1, targets[:, None])).sum(1).add(1).clamp(max=limit)
    return nll.double().cpu(), rank.cpu()
