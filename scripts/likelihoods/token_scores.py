"""The likelihood of each token of a response under a causal model: two forward passes per row."""

from collections.abc import Iterator
from itertools import accumulate, chain
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM

from scripts.likelihoods.chunked_head import body_of, nll_and_rank, output_head
from scripts.likelihoods.sums import PER_TOKEN, SUMS
from scripts.models.batching import batch_size_that_agrees, batches, longest_together, pad_right, refuse_unless_causal
from scripts.models.chat import Chat, PlainText
from scripts.models.loading import context_length, device, halve_if_out_of_memory, load_chat, load_model, pretrained
from scripts.models.template import Unrenderable
from scripts.models.tokenizers import load_tokenizer

VERSION = 2
BLOCK = 512  # rows stored at a time
RANK_LIMIT = 100


def load_scorer(spec: dict):
    """Load a model; return the function from rows to results (see score_rows). spec: a model's entry and its limits."""
    if spec["prompt"] == "chat":
        text = load_chat(spec)
        text.refuse_for_base()
    else:
        text = PlainText(load_tokenizer(**pretrained(spec)))
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    head = output_head(model)
    refuse_unless_causal(model, spec["model"])
    batch_tokens = batch_size_that_agrees(
        lambda rows: [nll for nll, _ in forward(model, head, [(row[:1], row[1:]) for row in rows])],
        lambda row: nll_alone(model, row),
        spec["batch_tokens"],
        spec["model"],
    )
    limits = spec["max_length"], batch_tokens, spec["per_token"]
    return lambda rows: score_rows(text, model, rows, *limits)


def score_rows(
    text: Chat | PlainText, model, rows: list[dict], max_length: int, batch_tokens: int, per_token: bool = False
) -> list[dict]:
    """One result per row: SUMS, PER_TOKEN if `per_token` is set, and `unusable`, the reason why they are null.

    A row has instruction, response and finish_reason, and messages or turns if it is a longer conversation (see
    scripts/tables/conversations.py). Its two forward passes are with and without what is not of the assistant.
    `unusable` is `over_long` for a row that does not fit into max_length or the model's context, `unrenderable` for
    texts that the chat template refuses, `tools_left_out` for tools or calls that it does not write, and `not_finite`
    for a likelihood that is NaN or infinite.
    """
    limit = min(max_length, context_length(model.config))
    encoded = [encode(text, row, limit) for row in rows]
    fitting = [tokens for tokens in encoded if isinstance(tokens, Tokens)]
    with_prompt = token_scores(model, [tokens.parts() for tokens in fitting], batch_tokens)
    direct = token_scores(model, [without_prompt(text.bos, tokens.response()) for tokens in fitting], batch_tokens)
    columns = [*SUMS, *(PER_TOKEN if per_token else {})]
    scored = (summarize(*scores, columns) for scores in zip(fitting, with_prompt, direct, strict=True))
    return [next(scored) if isinstance(row, Tokens) else unusable(row, columns) for row in encoded]


class Tokens(NamedTuple):
    """Token ids of one row, and whether they are only the start of the row.

    turns: for each message of the assistant the ids before it, of its text, and of its end of turn.
    """

    turns: list[tuple[list[int], list[int], list[int]]]
    truncated: bool

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
    """Token ids of a row, at most `limit`; or the reason why it has none: see score_rows.

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
    return Tokens(turns, over_long) if length(turns) <= limit and turns[0][1] else "over_long"


def length(turns: list[tuple]) -> int:
    return sum(len(part) for turn in turns for part in turn)


def without_prompt(bos: list[int], response: list[int]) -> tuple[list[int], list[int]]:
    """Context and targets of the response only; without BOS its first token is the context and is not scored."""
    return (bos, response) if bos else (response[:1], response[1:])


def summarize(tokens: Tokens, with_prompt: tuple, direct: tuple, columns: list[str]) -> dict:
    """The columns of one row, from the nll and rank of each of its targets in both forward passes."""
    (nll, rank), (direct_nll, _), end = with_prompt, direct, tokens.ends().to(with_prompt[0].device)
    if not (nll.isfinite().all() and direct_nll.isfinite().all()):
        return unusable("not_finite", columns)
    values = {
        "n_tokens": (~end).sum().item(),
        "nll": nll[~end].sum().item(),
        "rank_sum": rank[~end].sum().item(),
        "end_n_tokens": end.sum().item(),
        "end_nll": nll[end].sum().item(),
        "end_rank_sum": rank[end].sum().item(),
        "direct_n_tokens": len(direct_nll),
        "direct_nll": direct_nll.sum().item(),
        "truncated": tokens.truncated,
        "token_nll": nll.tolist(),
        "token_rank": rank.tolist(),
        "direct_token_nll": direct_nll.tolist(),
    }
    return {name: values[name] for name in columns} | {"unusable": None}


def unusable(reason: str, columns: list[str]) -> dict:
    return dict.fromkeys(columns) | {"unusable": reason}


@torch.inference_mode()
def token_scores(model, rows: list[tuple[list[int], ...]], batch_tokens: int) -> list[tuple]:
    """For each row: nll in nats (float64) and clipped rank of every scored token, in order.

    A row is ids that are given, ids that are scored, and so on by turns; mostly one of each. Rows are batched by length
    and padded on the right. The first part must not be empty; the others may be.
    """
    scores, head = [None] * len(rows), output_head(model)
    lengths = [sum(map(len, row)) for row in rows]
    for batch in batches(lengths, batch_tokens, longest_together(model.config)):
        scored = halve_if_out_of_memory(lambda rows: forward(model, head, rows), [rows[i] for i in batch])
        for i, score in zip(batch, scored, strict=True):
            scores[i] = score
    return scores


def forward(model, head, rows: list[tuple[list[int], ...]]) -> list[tuple]:
    """token_scores of one batch. Each token is predicted at the position before it."""
    ids, mask = pad_right([list(chain(*row)) for row in rows], pad=0)
    body = body_of(model)(input_ids=ids, attention_mask=mask, use_cache=False)
    spans = [list(scored_spans(row)) for row in rows]
    at = [(row, start, end) for row, found in enumerate(spans) for start, end in found]
    hidden = torch.cat([body.last_hidden_state[row, start - 1 : end - 1] for row, start, end in at])
    targets = torch.cat([ids[row, start:end] for row, start, end in at])
    nll, rank = nll_and_rank(head, hidden, targets, RANK_LIMIT)
    sizes = [sum(end - start for start, end in found) for found in spans]
    return list(zip(nll.split(sizes), rank.split(sizes), strict=True))


def scored_spans(row: tuple[list[int], ...]) -> Iterator[tuple[int, int]]:
    """Start and end of each scored part of a row."""
    ends = list(accumulate(map(len, row)))
    return zip(ends[::2], ends[1::2], strict=True)


@torch.inference_mode()
def nll_alone(model, row: list[int]) -> torch.Tensor:
    """nll of the tokens of one row after its first, from the model's own logits, without padding or mask."""
    ids = torch.tensor([row], device=device())
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
