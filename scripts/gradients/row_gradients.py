"""The gradient of each row's mean loss: its length, and its projection to a few hundred dimensions."""

from collections.abc import Callable
from itertools import accumulate

import torch
from peft import inject_adapter_in_model
from transformers import AutoModelForCausalLM

from scripts.gradients.projection import Projection
from scripts.likelihoods.chunked_head import CHUNK, output_head
from scripts.likelihoods.forward_pass import spans, states_of
from scripts.likelihoods.tokens import Tokens, encode
from scripts.models.batching import refuse_unless_causal
from scripts.models.chat import Chat
from scripts.models.loading import context_length, halve_if_out_of_memory, load_chat, load_model, pretrained
from scripts.models.trained_parts import adapters, freeze_non_text_parts

VERSION = 1
BLOCK = 32  # rows stored at a time
LORA = {"rank": 16, "alpha": 32, "dropout": 0.0}  # of GRACE's gradient_computation.py, without its dropout


def load_gradients(spec: dict) -> Callable:
    """Load a base; return the function from rows to results (see score_rows). spec: its entry, `lora`, `max_length`."""
    chat = load_chat(spec)
    chat.refuse_for_base()
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    refuse_unless_causal(model, spec["model"])
    gradients = Gradients(model, spec["lora"])
    limit = min(spec["max_length"], context_length(model.config))
    return lambda rows: score_rows(chat, gradients, rows, limit)


class Gradients:
    """The gradients of a model, projected while they are computed.

    Each weight's gradient is projected and dropped as soon as it is complete, so that they are never all in memory. The
    output head's is added up over chunks of positions first. With `lora` they are those of the second matrix of new
    adapters (LoRA-B), which is zero: the model is unchanged.
    """

    def __init__(self, model, lora: bool):
        self.model, self.head = model, output_head(model)
        freeze_non_text_parts(model)
        if lora:
            add_adapters(model)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        ends = list(accumulate(weight.numel() for weight in weights))
        self.starts = {weight: end - weight.numel() for weight, end in zip(weights, ends, strict=True)}
        self.of_head = [weight for weight in model.get_output_embeddings().parameters() if weight in self.starts]
        for weight in set(weights) - set(self.of_head):
            weight.register_post_accumulate_grad_hook(self.take)
        self.projection = Projection(ends[-1], model.device)

    def take(self, weight: torch.nn.Parameter) -> None:
        """Project the gradient of a weight, and drop it."""
        if weight.grad is not None:
            self.projection.add(weight.grad, self.starts[weight])
            weight.grad = None

    def of(self, row: tuple[list[int], ...]) -> tuple[float, torch.Tensor]:
        """The gradient of the mean loss of one row, given and scored ids by turns: its length and its projection."""
        self.projection.clear()
        self.model.zero_grad()
        ids, hidden = states_of(self.model, [row])
        scored = list(spans(row))[1::2]
        states = torch.cat([hidden[0, start - 1 : end - 1] for start, end in scored])
        targets = torch.cat([ids[0, start:end] for start, end in scored])
        states.backward(self.of_states(states.detach(), targets))
        for weight in self.of_head:
            self.take(weight)
        return self.projection.norm(), self.projection.projected()

    def of_states(self, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The gradient of the mean loss by the states before the output head; that of the head is added to its own.

        The logits of CHUNK positions are in memory at a time.
        """
        states.requires_grad_()
        for part, following in zip(states.split(CHUNK), targets.split(CHUNK), strict=True):
            nll = torch.nn.functional.cross_entropy(self.head(part), following, reduction="sum")
            (nll / len(targets)).backward()
        return states.grad


def add_adapters(model) -> None:
    """New adapters on all linear layers, of which only the second matrices get a gradient; always the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inject_adapter_in_model(adapters(LORA, model), model)
    for name, weight in model.named_parameters():
        weight.requires_grad_("lora_B" in name)
    model.eval()


def score_rows(chat: Chat, gradients: Gradients, rows: list[dict], limit: int) -> list[dict]:
    """One result per row: gradient_norm and projection, or `unusable`, the reason why they are null.

    The reasons are those of likelihoods (scripts/likelihoods/token_scores.py).
    """
    encoded = [encode(chat, row, limit) for row in rows]
    return [halve_if_out_of_memory(lambda found: [score(gradients, found[0])], [row])[0] for row in encoded]


def score(gradients: Gradients, tokens: Tokens | str) -> dict:
    reason = tokens if isinstance(tokens, str) else None
    if not reason:
        norm, projected = gradients.of(tokens.parts())
        if torch.isfinite(projected).all():
            return {"gradient_norm": norm, "projection": projected.tolist(), "unusable": None}
    return {"gradient_norm": None, "projection": None, "unusable": reason or "not_finite"}
