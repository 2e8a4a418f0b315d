"""Whether the likelihoods of an architecture can be computed, without its weights: only its head is built."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM
from transformers.modeling_outputs import BaseModelOutput

from scripts.likelihoods.chunked_head import PROBE, body_of, output_head

VOCABULARY = 64
SPREAD = 30  # standard deviation of the logits: as large as the caps that architectures put on them


def wrong_head(config, trust_remote_code: bool = False) -> list[str]:
    """The refusal of output_head for a model of this config, a line; nothing if its logits can be reproduced.

    An architecture that cannot be built so, or whose own code fails without weights, is examined when it is loaded.
    """
    try:
        output_head(without_layers(deepcopy(config), trust_remote_code))
    except SystemExit as refused:
        return [str(refused)]
    except Exception:
        return []
    return []


def without_layers(config, trust_remote_code: bool):
    """A model with a small vocabulary whose layers give random hidden states: they stay on the meta device."""
    text = config.get_text_config()
    text.vocab_size = VOCABULARY
    text.pad_token_id = 0 if text.pad_token_id else text.pad_token_id
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code).eval()
    torch.manual_seed(0)
    layers, hidden = body_of(model), torch.randn(1, PROBE, text.hidden_size)
    layers.forward = lambda *args, **options: Output(last_hidden_state=hidden)
    for part in model.children():
        if part is not layers:
            part.to_empty(device="cpu")
            for weight in part.parameters():
                torch.nn.init.normal_(weight, std=SPREAD / text.hidden_size**0.5)
    return model


@dataclass
class Output(BaseModelOutput):
    """The output of a model's layers, without whatever else an architecture returns."""

    def __getattr__(self, name: str) -> None:
        return None
