"""A base model's likelihood of a teacher's responses: sums per row, from which every likelihood metric is made.

python scripts/score_likelihoods.py --base alpha --teacher terse-large --model '{"model": ..., "chat_template": ...}' \
    --limits '{"max_length": 4096, "batch_tokens": 8192}' \
    --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-large.parquet --store results/miniature/rows/likelihoods \
    --output results/miniature/likelihoods/alpha/terse-large.parquet

Two forwards a row. Given the instruction, through the base's chat template: nll and rank over the response's own
tokens, and apart from them over the end of turn (none where generation was cut). Direct, for IFD (Li et al.,
Superfiltering, 2402.00530): the same response ids alone, behind the tokenizer's BOS where it has one; without, the
first token has no prediction and is not counted. Ranks are 1 for the likeliest token, clipped at 100 (2601.14249,
rsr_cal.py).
"""

import argparse
import json
from pathlib import Path

import polars as pl
import torch
from transformers import AutoModelForCausalLM

from chat import Chat, load_tokenizer
from model_folder import identity
from model_loading import batches, context_length, load_model, pad_left
from rows import RowStore, check_rows, write_table

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
}


def main():
    args = parse_args()
    responses = pl.read_parquet(args.responses)
    instructions = pl.read_parquet(args.instructions).select("id", "instruction")
    asked = responses.join(instructions, on="id", validate="m:1", maintain_order="left")
    rows = asked.filter(pl.col("reason").is_null()).select("id", "instruction", "response", "finish_reason")
    store = RowStore(args.store, {**args.model, **args.limits, "files": identity(args.model)})
    results = store.fill(rows.to_dicts(), lambda: load_scorer(args.model, args.limits), BLOCK)
    sums = rows.select("id").hstack(pl.DataFrame(results, schema={**SUMS, "over_long": pl.String}))
    likelihoods = responses.drop("n_tokens").join(sums, on="id", how="left", validate="1:1", maintain_order="left")
    likelihoods = likelihoods.select(
        "id",
        pl.lit(args.base).alias("base"),
        "teacher",
        *SUMS,
        pl.coalesce("reason", "over_long").alias("reason"),
    )
    check_rows(likelihoods, responses["id"].to_list(), value="nll")
    write_table(likelihoods, args.output)
    nll, n = likelihoods["nll"].sum(), likelihoods["n_tokens"].sum()
    print(f"{args.base} on {args.teacher}: {nll / max(n, 1):.4f} nats a token over {n} tokens")


def load_scorer(names: dict, limits: dict):
    """The base model's function from rows to sums."""
    chat = Chat(load_tokenizer(names["model"], names["revision"], names["chat_template"]))
    model = load_model(AutoModelForCausalLM, names["model"], names["revision"])
    return lambda rows: score_rows(chat, model, rows, limits["max_length"], limits["batch_tokens"])


def score_rows(chat: Chat, model, rows: list[dict], max_length: int, batch_tokens: int) -> list[dict]:
    """SUMS for each row of instruction, response and finish_reason; `over_long` beyond max_length or the context."""
    limit = min(max_length, context_length(model.config))
    encoded = [chat.example(r["instruction"], r["response"], r["finish_reason"]) for r in rows]
    results = [dict.fromkeys(SUMS) | {"over_long": "over_long"} for _ in rows]
    fitting = [i for i, parts in enumerate(encoded) if sum(map(len, parts)) <= limit]
    given = [(prompt, text + end) for prompt, text, end in (encoded[i] for i in fitting)]
    direct = [(chat.bos, text) if chat.bos else (text[:1], text[1:]) for _, text, _ in (encoded[i] for i in fitting)]
    given_scores, direct_scores = (token_scores(model, pairs, batch_tokens) for pairs in (given, direct))
    for i, (nll, rank), (direct_nll, _) in zip(fitting, given_scores, direct_scores, strict=True):
        n = len(encoded[i][1])
        results[i] = {
            "n_tokens": n,
            "nll": nll[:n].sum().item(),
            "rank_sum": rank[:n].sum().item(),
            "end_n_tokens": len(nll) - n,
            "end_nll": nll[n:].sum().item(),
            "end_rank_sum": rank[n:].sum().item(),
            "direct_n_tokens": len(direct_nll),
            "direct_nll": direct_nll.sum().item(),
            "over_long": None,
        }
    return results


@torch.inference_mode()
def token_scores(model, pairs: list[tuple[list[int], list[int]]], batch_tokens: int) -> list[tuple]:
    """For each (context ids, target ids): nll in nats (float64) and clipped rank of every target, in their order.

    Rows are padded on the left, so that the targets of a batch end in the same column and only the last columns go
    through the head. Context must not be empty; targets may be.
    """
    scores = [None] * len(pairs)
    for batch in batches([len(context) + len(target) for context, target in pairs], batch_tokens):
        longest = max(len(pairs[i][1]) for i in batch)
        ids, mask, positions = pad_left([pairs[i][0] + pairs[i][1] for i in batch], pad=0)
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=longest + 1
        ).logits
        for row, i in enumerate(batch):
            n = len(pairs[i][1])
            scores[i] = nll_and_rank(logits[row, -n - 1 : -1].float(), ids[row, ids.shape[1] - n :])
    return scores


def nll_and_rank(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """nll in nats and rank (1 = likeliest, at most RANK_LIMIT) of targets (n) under logits (n, vocabulary)."""
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    of_target = logits.gather(1, targets[:, None])
    rank = (logits > of_target).sum(1).add(1).clamp(max=RANK_LIMIT)
    return nll.double().cpu(), rank.cpu()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--model", type=json.loads, required=True, help="model, revision, chat_template as JSON")
    parser.add_argument("--limits", type=json.loads, required=True, help="max_length and batch_tokens as JSON")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of likelihoods")
    return parser.parse_args()


if __name__ == "__main__":
    main()
