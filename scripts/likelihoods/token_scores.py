"""How likely a causal model finds the tokens of responses: two forwards a row."""

import polars as pl
import torch
from transformers import AutoModelForCausalLM

from scripts.likelihoods.chunked_head import head_of, nll_and_rank
from scripts.models.chat import Chat, PlainText, load_tokenizer, read_tokenizer
from scripts.models.loading import batches, context_length, halving, load_model, pad_left, pretrained

VERSION = 1
BLOCK = 512
RANK_LIMIT = 100
SUMS = {
    "n_tokens": pl.Int64,
    "nll": pl.Float64,
    "rank_sum": pl.Int64,
    "end_n_tokens": pl.Int64,
    "end_nll": pl.Float64,
    "end_rank_sum": pl.Int64,
    "direct_n_tokens": pl.Int64,
    "direct_nll": pl.Float64,
    "truncated": pl.Boolean,
}
PER_TOKEN = {"token_nll": pl.List(pl.Float32), "token_rank": pl.List(pl.UInt8), "direct_token_nll": pl.List(pl.Float32)}


def load_scorer(spec: dict):
    """The model's function from rows to sums."""
    if spec["prompt"] == "chat":
        text = Chat(load_tokenizer(**pretrained(spec), chat_template=spec["chat_template"]))
    else:
        text = PlainText(read_tokenizer(**pretrained(spec)))
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    limits = spec["max_length"], spec["batch_tokens"], spec["per_token"]
    return lambda rows: score_rows(text, model, rows, *limits)


def score_rows(
    text: Chat | PlainText, model, rows: list[dict], max_length: int, batch_tokens: int, per_token: bool = False
) -> list[dict]:
    """SUMS, and PER_TOKEN if asked for, of each row of instruction, response and finish_reason.

    A row beyond max_length or the model's context is `over_long`; as plain text only if no response token is left. One
    whose likelihood is no number is `not_finite`.
    """
    limit = min(max_length, context_length(model.config))
    encoded = [text.example(r["instruction"], r["response"], r["finish_reason"]) for r in rows]
    lengths = [sum(map(len, parts)) for parts in encoded]
    if isinstance(text, PlainText):
        encoded = [(prompt, response[: max(limit - len(prompt), 0)], end) for prompt, response, end in encoded]
    columns = [*SUMS, *(PER_TOKEN if per_token else {})]
    results = [dict.fromkeys(columns) | {"unusable": "over_long"} for _ in rows]
    fitting = [i for i, parts in enumerate(encoded) if sum(map(len, parts)) <= limit and parts[1]]
    given = [(prompt, response + end) for prompt, response, end in (encoded[i] for i in fitting)]
    alone = [encoded[i][1] for i in fitting]
    direct = [(text.bos, response) if text.bos else (response[:1], response[1:]) for response in alone]
    given_scores, direct_scores = (token_scores(model, pairs, batch_tokens) for pairs in (given, direct))
    for i, (nll, rank), (direct_nll, _) in zip(fitting, given_scores, direct_scores, strict=True):
        n = len(encoded[i][1])
        if not (nll.isfinite().all() and direct_nll.isfinite().all()):
            results[i]["unusable"] = "not_finite"
            continue
        values = {
            "n_tokens": n,
            "nll": nll[:n].sum().item(),
            "rank_sum": rank[:n].sum().item(),
            "end_n_tokens": len(nll) - n,
            "end_nll": nll[n:].sum().item(),
            "end_rank_sum": rank[n:].sum().item(),
            "direct_n_tokens": len(direct_nll),
            "direct_nll": direct_nll.sum().item(),
            "truncated": lengths[i] > limit,
            "token_nll": nll.tolist(),
            "token_rank": rank.tolist(),
            "direct_token_nll": direct_nll.tolist(),
        }
        results[i] = {name: values[name] for name in columns} | {"unusable": None}
    return results


@torch.inference_mode()
def token_scores(model, pairs: list[tuple[list[int], list[int]]], batch_tokens: int) -> list[tuple]:
    """For each (context ids, target ids): nll in nats (float64) and clipped rank of every target, in their order.

    Rows are batched by length and padded on the left, so that the targets of a batch end in the same column. Context
    must not be empty; targets may be.
    """
    scores, head = [None] * len(pairs), head_of(model)
    lengths = [len(context) + len(target) for context, target in pairs]
    for batch in batches(lengths, batch_tokens):
        scored = halving(lambda rows: forward(model, head, rows), [pairs[i] for i in batch])
        for i, score in zip(batch, scored, strict=True):
            scores[i] = score
    return scores


def forward(model, head, pairs: list[tuple[list[int], list[int]]]) -> list[tuple]:
    """token_scores of one batch. A token is predicted at the position before it."""
    ids, mask, positions = pad_left([context + target for context, target in pairs], pad=0)
    body = model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    sizes = [len(target) for _, target in pairs]
    hidden = torch.cat([body.last_hidden_state[row, -n - 1 : -1] for row, n in enumerate(sizes)])
    targets = torch.cat([ids[row, ids.shape[1] - n :] for row, n in enumerate(sizes)])
    nll, rank = nll_and_rank(head, hidden, targets, RANK_LIMIT)
    return list(zip(nll.split(sizes), rank.split(sizes), strict=True))
