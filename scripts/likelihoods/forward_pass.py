"""One batch through a causal model, and what it predicts for the tokens of each row.

A row is ids that are given, ids that are scored, and so on by turns; mostly one of each. The first part must not be
empty; the others may be. Rows are padded on the right.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from typing import NamedTuple

import torch

from scripts.likelihoods.chunked_head import body_of, in_chunks
from scripts.likelihoods.predictions import Predictions, nll_of, predict
from scripts.likelihoods.similarity import observed, up_projection
from scripts.models.batching import pad_right

Span = tuple[int, int]  # start and end


class Scored(NamedTuple):
    """One row. Tokens in `left_out` are not in prompt_nll and not compared; nor is the first token, in prompt_nll."""

    predictions: Predictions  # of the scored tokens
    prompt_nll: torch.Tensor  # of the given tokens: nats, float64
    answer_similarity: float | None  # AA of scripts/likelihoods/similarity.py
    prompt_similarity: float | None  # AQ


@torch.inference_mode()
def score_prompt_and_answer(
    model, head, rows: list[tuple[list[int], ...]], left_out: set[int], prompts: bool = True
) -> list[Scored]:
    """What a model predicts for each row; without `prompts`, prompt_nll is empty."""
    given, scored = ([list(spans(row))[first::2] for row in rows] for first in (0, 1))
    groups = [
        tuple(torch.tensor(places(row, of_row, left_out), dtype=torch.long) for of_row in pair)
        for row, *pair in zip(rows, scored, given, strict=True)
    ]
    with observed(up_projection(model), groups) as similarities:
        ids, hidden = states_of(model, rows)
    answers = at_spans(predict, head, ids, hidden, scored)
    predicted = [[(max(start, 1), end) for start, end in row] for row in given]
    prompt_nlls = at_spans(nll_of, head, ids, hidden, predicted) if prompts else [None] * len(rows)
    kept = [[token not in left_out for token in given_tokens(row)[1:]] for row in rows]
    return [
        Scored(Predictions(*answer), kept_of(*nll, keep) if nll else torch.empty(0), *similar)
        for answer, nll, keep, similar in zip(answers, prompt_nlls, kept, similarities, strict=True)
    ]


def kept_of(nll: torch.Tensor, keep: list[bool]) -> torch.Tensor:
    return nll[torch.tensor(keep, dtype=torch.bool)]


@torch.inference_mode()
def score_answer(model, head, rows: list[tuple[list[int], ...]]) -> list[torch.Tensor]:
    """nll of the scored tokens of each row: nats, float64."""
    ids, hidden = states_of(model, rows)
    return [nll for (nll,) in at_spans(nll_of, head, ids, hidden, [list(spans(row))[1::2] for row in rows])]


def states_of(model, rows: list[tuple[list[int], ...]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (rows, longest row) and what the output head reads at each of them (rows, longest row, width)."""
    ids, mask = pad_right([list(chain(*row)) for row in rows], pad=0)
    return ids, body_of(model)(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state


def at_spans(compute: Callable, head, ids: torch.Tensor, hidden: torch.Tensor, rows: list[list[Span]]) -> list[tuple]:
    """What `compute` gives for the tokens of each row's spans. Each token is predicted at the position before it."""
    at = [(row, start, end) for row, found in enumerate(rows) for start, end in found]
    states = torch.cat([hidden[row, start - 1 : end - 1] for row, start, end in at])
    targets = torch.cat([ids[row, start:end] for row, start, end in at])
    sizes = [sum(end - start for start, end in found) for found in rows]
    values = in_chunks(compute, head, states, targets)
    return list(zip(*(value.split(sizes) for value in values), strict=True))


def spans(row: tuple[list[int], ...]) -> Iterator[Span]:
    """Start and end of each part of a row."""
    ends = list(accumulate(map(len, row)))
    return zip([0, *ends], ends, strict=False)


def given_tokens(row: tuple[list[int], ...]) -> list[int]:
    return list(chain(*row[::2]))


def places(row: tuple[list[int], ...], found: list[Span], left_out: set[int]) -> list[int]:
    """The positions of a row that are in spans, without tokens that are left out."""
    ids = list(chain(*row))
    return [at for start, end in found for at in range(start, end) if ids[at] not in left_out]
