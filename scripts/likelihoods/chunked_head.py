"""Logits of a few positions in memory at a time.

The logits of a complete batch are rows x length x vocabulary numbers: 8 GiB for 8,192 tokens with Gemma's vocabulary of
256,000. Here only positions that are asked for go through the output head, CHUNK positions at a time, so that
memory does not grow with the batch.
"""

import math
from collections.abc import Callable

import torch

CHUNK = 256
FACTORS = "logit_scale", "lm_head_multiplier"  # of Cohere and Falcon-H1
DIVISORS = "logits_scaling", "logits_mup_width_multiplier"  # of Granite and Inkling
CAPS = "final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap"  # of Gemma, RecurrentGemma and xLSTM
PROBE = 8  # number of tokens on which an output head is compared with the model's own logits


def output_head(model) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function from the model's hidden states (n, width) to logits (n, vocabulary) in float32.

    Exits if the function does not reproduce the model's own logits (BERT's head has more layers).
    """
    config = model.config.get_text_config()
    scale, cap = scale_of(config), next(filter(None, found(config, CAPS)), None)
    vocabulary = getattr(config, "unpadded_vocab_size", None)  # of Inkling

    def head(hidden: torch.Tensor) -> torch.Tensor:
        logits = model.get_output_embeddings()(hidden)[:, :vocabulary].float() * scale
        return cap * torch.tanh(logits / cap) if cap else logits

    if not reproduces(head, model):
        name = type(model).__name__
        raise SystemExit(f"unsupported architecture {name}: its logits cannot be reproduced: use another model")
    return head


def scale_of(config) -> float:
    """The factor between the output of the last layer and the logits, in the architectures of transformers 5.19."""
    factors, divisors = found(config, FACTORS), found(config, DIVISORS)
    if config.model_type.startswith("hyperclovax"):  # it multiplies by what Granite divides by
        factors, divisors = [*factors, *divisors], []
    return math.prod(filter(None, factors)) / math.prod(filter(None, divisors))


def found(config, names: tuple[str, ...]) -> list[float | None]:
    return [getattr(config, name, None) for name in names]


@torch.inference_mode()
def reproduces(head, model) -> bool:
    """Whether a function gives the model's own logits for the first tokens of its vocabulary, up to rounding."""
    ids = torch.arange(PROBE, device=model.device)[None]
    own = model(input_ids=ids, use_cache=False).logits[0].float()
    atol = 1e-2 * own.nan_to_num().abs().max().item()
    try:
        ours = head(body_of(model)(input_ids=ids, use_cache=False).last_hidden_state[0])
    except (AttributeError, RuntimeError):  # no hidden states, or of another width than the head's
        return False
    return ours.shape == own.shape and torch.allclose(ours, own, rtol=1e-2, atol=atol, equal_nan=True)


def body_of(model):
    """The model without its head: a module whose output has last_hidden_state.

    Llama 4's own name for it (base_model_prefix) is that of a part which its text model does not have.
    """
    return model.base_model if model.base_model is not model else model.model


def in_chunks(compute: Callable, head, hidden: torch.Tensor, targets: torch.Tensor) -> list[torch.Tensor]:
    """What compute(logits, targets) gives for targets (n) after hidden states (n, width): see predictions.py."""
    parts = [compute(head(h), t) for h, t in zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)]
    return [torch.cat(values) for values in zip(*parts, strict=True)]
