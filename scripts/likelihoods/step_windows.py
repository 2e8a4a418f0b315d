"""How natural each step of a response is to a base, after only a few steps before it (LALP, 2510.03988, eq. 2)."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from transformers import AutoModelForCausalLM

from scripts.likelihoods.batched_scores import direct_nlls, nll_alone
from scripts.likelihoods.tokens import Tokens, encode
from scripts.models.batching import batch_size_that_agrees, refuse_unless_causal
from scripts.models.chat import Chat
from scripts.models.loading import context_length, load_chat, load_model, pretrained

VERSION = 1
BLOCK = 32  # rows stored at a time
Window = tuple[list[int], list[int]]  # ids that are given, and ids that are scored


def load_scorer(spec: dict) -> Callable:
    """Load a base; return the function from rows to results (see score_rows). spec: its entry, limits, steps_before."""
    chat = load_chat(spec)
    chat.refuse_for_base()
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    refuse_unless_causal(model, spec["model"])
    batch_tokens = batch_size_that_agrees(
        lambda rows: direct_nlls(model, [(row[:1], row[1:]) for row in rows], spec["batch_tokens"]),
        lambda row: nll_alone(model, row),
        spec["batch_tokens"],
        spec["model"],
    )
    limit = min(spec["max_length"], context_length(model.config))
    return lambda rows: score_rows(chat, model, rows, limit, batch_tokens, spec["steps_before"])


def score_rows(chat: Chat, model, rows: list[dict], limit: int, batch_tokens: int, steps_before: int) -> list[dict]:
    """One result per row: n_steps, step_log_prob, and `unusable`, the reason why they are null.

    step_log_prob is the sum over the steps of the mean log-probability of a step's tokens, in nats. The reasons are
    those of likelihoods (scripts/likelihoods/token_scores.py).
    """
    encoded = [encode(chat, row, limit) for row in rows]
    found = [list(windows(tokens, steps_before)) if isinstance(tokens, Tokens) else [] for tokens in encoded]
    nlls = iter(direct_nlls(model, [window for of_row in found for window, _ in of_row], batch_tokens))
    return [
        summarize(tokens, [(next(nlls), sizes) for _, sizes in of_row])
        for tokens, of_row in zip(encoded, found, strict=True)
    ]


def windows(tokens: Tokens, steps_before: int) -> Iterator[tuple[Window, list[int]]]:
    """The windows of a row, each with the sizes of the steps in its scored ids.

    The first steps of a message, up to number steps_before, follow all steps before them, so one window has them all.
    A message's steps follow what is before the message, and never its end of turn.
    """
    before, first = [], iter(tokens.first)
    for context, text, end in tokens.turns:
        before = before + context
        starts = [number for number in range(len(text)) if next(first)] + [len(text)]
        sizes = [following - start for start, following in pairwise(starts)]
        if text:
            whole = starts[min(steps_before + 1, len(sizes))]
            yield (before, text[:whole]), sizes[: steps_before + 1]
        for step in range(steps_before + 1, len(sizes)):
            start, own, following = starts[step - steps_before], starts[step], starts[step + 1]
            yield (before + text[start:own], text[own:following]), sizes[step : step + 1]
        before = before + text + end


def summarize(tokens: Tokens | str, scored: list[tuple[torch.Tensor, list[int]]]) -> dict:
    """The columns of one row, from the nll of the tokens of each window and the sizes of its steps."""
    reason = tokens if isinstance(tokens, str) else None
    steps = [-nll.mean().item() for nlls, sizes in scored for nll in nlls.split(sizes)]
    total = sum(steps)
    if reason or not math.isfinite(total):
        return {"n_steps": None, "step_log_prob": None, "unusable": reason or "not_finite"}
    return {"n_steps": len(steps), "step_log_prob": total, "unusable": None}
