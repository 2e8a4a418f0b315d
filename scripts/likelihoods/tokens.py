"""The token ids of one row: what is given and what is scored, the same for every score of a response."""

from typing import NamedTuple

import torch

from scripts.likelihoods.steps import first_tokens
from scripts.models.chat import Chat, PlainText
from scripts.models.template import Unrenderable


class Tokens(NamedTuple):
    """Token ids of one row, and whether they are only the start of the row.

    turns: for each message of the assistant the ids before it, of its text, and of its end of turn. first: for each
    token of all its texts, whether a step begins with it.
    """

    turns: list[tuple[list[int], list[int], list[int]]]
    truncated: bool
    first: list[bool]

    def parts(self) -> tuple[list[int], ...]:
        """The ids in their order, by turns given and scored."""
        return tuple(part for context, text, end in self.turns for part in (context, text + end))

    def response(self) -> list[int]:
        """The ids of the assistant's texts."""
        return [token for _, text, _ in self.turns for token in text]

    def ends(self) -> torch.Tensor:
        """For each scored token, whether it is of an end of turn."""
        return torch.tensor([of for _, text, end in self.turns for of in [False] * len(text) + [True] * len(end)])


def encode(text: Chat | PlainText, row: dict, limit: int) -> Tokens | str:
    """Token ids of a row, at most `limit`; or the reason why it has none: see score_rows in token_scores.py.

    Through a chat template, a longer row does not fit: a truncated row would have another loss. A longer row of plain
    text is truncated to its start, as in Superfiltering (2402.00530).
    """
    try:
        turns = text.turns(row)
    except Unrenderable as error:
        return error.reason
    over_long = length(turns) > limit
    if over_long and isinstance(text, PlainText):
        prompt, response, _ = turns[0]
        turns = [(prompt, response[: max(limit - len(prompt), 0)], [])]
    if length(turns) > limit or not turns[0][1]:
        return "over_long"
    return Tokens(turns, over_long, [first for _, ids, _ in turns for first in begins_step(text, ids)])


def begins_step(text: Chat | PlainText, ids: list[int]) -> list[bool]:
    """For each token of a text, whether a step begins with it."""
    starts = set(first_tokens(text.encoder.tokenizer.convert_ids_to_tokens(ids)))
    return [number in starts for number in range(len(ids))]


def length(turns: list[tuple]) -> int:
    return sum(len(part) for turn in turns for part in turn)
