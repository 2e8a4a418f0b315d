"""A model's likelihood of a teacher's responses: sums per row, from which every likelihood metric is made.

python scripts/score_likelihoods.py --name alpha --teacher terse-large --model '{"model": ..., "chat_template": ...}' \
    --prompt chat --limits '{"max_length": 4096, "batch_tokens": 8192, "per_token": false}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet --store results/miniature/rows/likelihoods \
    --output results/miniature/likelihoods/alpha/terse-large.parquet

The model is a base or, with --prompt plain, a reference model, which has no chat template: a row longer than its
max_length then keeps its start and is marked truncated, where a base's is set aside.

Two forwards a row. Given the instruction, through the base's chat template: nll and rank over the response's own
tokens, and apart from them over the end of turn (none where generation was cut). Direct, for IFD (Li et al.,
Superfiltering, 2402.00530): the same response ids alone, behind the tokenizer's BOS where it has one; without, the
first token has no prediction and is not counted. Ranks are 1 for the likeliest token, clipped at 100 (2601.14249,
rsr_cal.py). With `per_token` in the limits the values of single tokens are kept too, those of the end of turn last: a
new metric of them needs no forward.
"""

import argparse
import json
from pathlib import Path

import polars as pl
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from chat import Chat, PlainText, load_tokenizer
from chunked_head import head_of, nll_and_rank
from model_folder import identity
from model_loading import batches, context_length, halving, load_model, pad_left
from rows import RowStore
from tables import check_rows, read_table, write_table

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


def main():
    args = parse_args()
    responses = read_table(args.responses)
    instructions = read_table(args.instructions).select("id", "instruction")
    asked = responses.join(instructions, on="id", validate="m:1", maintain_order="left")
    rows = asked.filter(pl.col("reason").is_null()).select("id", "instruction", "response", "finish_reason")
    spec = {**args.model, **args.limits, "prompt": args.prompt}
    store = RowStore(args.store, {**spec, "files": identity(spec)})
    results = store.fill(rows.to_dicts(), lambda: load_scorer(spec), BLOCK)
    columns = SUMS | (PER_TOKEN if args.limits["per_token"] else {})
    sums = rows.select("id").hstack(pl.DataFrame(results, schema={**columns, "unusable": pl.String}))
    likelihoods = responses.drop("n_tokens").join(sums, on="id", how="left", validate="1:1", maintain_order="left")
    likelihoods = likelihoods.select(
        "id",
        pl.lit(args.name).alias("model"),
        "teacher",
        "finish_reason",
        *columns,
        pl.coalesce("reason", "unusable").alias("reason"),
    )
    check_rows(likelihoods, responses["id"].to_list(), value="nll")
    write_table(likelihoods, args.output)
    nll, n = likelihoods["nll"].sum(), likelihoods["n_tokens"].sum()
    print(f"{args.name} on {args.teacher}: {nll / max(n, 1):.4f} nats a token over {n} tokens")
    print(f"{likelihoods['truncated'].sum()} rows truncated")


def load_scorer(spec: dict):
    """The model's function from rows to sums."""
    if spec["prompt"] == "chat":
        names = {key: spec[key] for key in ("model", "revision", "trust_remote_code")}
        text = Chat(load_tokenizer(**names, chat_template=spec["chat_template"]))
    else:
        names = {key: spec[key] for key in ("model", "revision")}
        text = PlainText(AutoTokenizer.from_pretrained(spec["model"], revision=spec["revision"]))
    model = load_model(AutoModelForCausalLM, **names)
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


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="name of the base or reference model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--model", type=json.loads, required=True, help="model, revision, chat_template as JSON")
    parser.add_argument("--prompt", choices=["chat", "plain"], required=True, help="plain for a reference model")
    parser.add_argument(
        "--limits", type=json.loads, required=True, help="max_length, batch_tokens and per_token as JSON"
    )
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of likelihoods")
    return parser.parse_args()


if __name__ == "__main__":
    main()
