"""What a causal model says of tokens, its vocabulary's logits made for a few positions at a time.

All logits of a batch would take rows x length x vocabulary numbers: 8 GiB for 8,192 tokens of Gemma's 256,000. Here
only positions that predict a scored token go through the head, CHUNK of them at once, so that memory does not grow with
the batch.
"""

from collections.abc import Callable

import torch

CHUNK = 256
PROBE = 8  # tokens on which a head is held against the model's own logits


def head_of(model) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model's way from hidden states (n, width) to logits (n, vocabulary) in float32.

    Some architectures scale their logits (Cohere, Granite) or cap them (Gemma 2). Exits for one whose logits come out
    otherwise than the model's own.
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
        made = head(model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0])
    if not torch.allclose(made, own, rtol=1e-2, atol=1e-2 * own.nan_to_num().abs().max().item(), equal_nan=True):
        raise SystemExit(f"{type(model).__name__} makes its logits in a way that is not known here: no likelihoods")
    return head


def nll_and_rank(head, hidden: torch.Tensor, targets: torch.Tensor, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    """nll in nats (float64) and rank (1 = likeliest, at most `limit`) of targets (n) after hidden states (n, width)."""
    parts = [one_chunk(head(h), t, limit) for h, t in zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)]
    return tuple(torch.cat(values) for values in zip(*parts, strict=True))


def one_chunk(logits: torch.Tensor, targets: torch.Tensor, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    rank = (logits > logits.gather(1, targets[:, None])).sum(1).add(1).clamp(max=limit)
    return nll.double().cpu(), rank.cpu()
