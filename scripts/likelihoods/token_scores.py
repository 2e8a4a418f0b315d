"""What a causal model predicts for the tokens of a response: two forward passes per row."""

import torch
from transformers import AutoModelForCausalLM

from scripts.likelihoods.batched_scores import direct_nlls, in_batches, nll_alone
from scripts.likelihoods.chunked_head import output_head
from scripts.likelihoods.forward_pass import Scored, score_answer, score_prompt_and_answer
from scripts.likelihoods.known_prompts import Known, key_of_prompt
from scripts.likelihoods.similarity import up_projection
from scripts.likelihoods.sums import PER_TOKEN, SUMS
from scripts.likelihoods.tokens import Tokens, encode
from scripts.models.batching import batch_size_that_agrees, refuse_unless_causal
from scripts.models.chat import Chat, PlainText
from scripts.models.loading import context_length, load_chat, load_model, pretrained
from scripts.models.tokenizers import load_tokenizer

VERSION = 3
BLOCK = 512  # rows stored at a time


def load_scorer(spec: dict, known: Known | None = None):
    """Load a model; return the function from rows to results (see score_rows). spec: a model's entry and its limits."""
    if spec["prompt"] == "chat":
        text = load_chat(spec)
        text.refuse_for_base()
    else:
        text = PlainText(load_tokenizer(**pretrained(spec)))
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    head = output_head(model)
    refuse_unless_causal(model, spec["model"])
    if up_projection(model) is None:
        print(f"{spec['model']} has no `mlp.up_proj` in its last block: `scas` has no value", flush=True)
    batch_tokens = batch_size_that_agrees(
        lambda rows: score_answer(model, head, [(row[:1], row[1:]) for row in rows]),
        lambda row: nll_alone(model, row),
        spec["batch_tokens"],
        spec["model"],
    )
    limits = spec["max_length"], batch_tokens, spec["per_token"]
    return lambda rows: score_rows(text, model, rows, *limits, known)


def score_rows(
    text: Chat | PlainText,
    model,
    rows: list[dict],
    max_length: int,
    batch_tokens: int,
    per_token: bool = False,
    known: Known | None = None,
) -> list[dict]:
    """One result per row: SUMS, PER_TOKEN if `per_token` is set, and `unusable`, the reason why they are null.

    A row has instruction, response and finish_reason, and messages or turns if it is a longer conversation (see
    scripts/tables/conversations.py). Its two forward passes are with and without what is not of the assistant.
    `unusable` is `over_long` for a row that does not fit into max_length or the model's context, `unrenderable` for
    texts that the chat template refuses, `tools_left_out` for tools or calls that it does not write, and `not_finite`
    for a likelihood that is NaN or infinite. The sums of `known` prompts are taken from there.
    """
    limit = min(max_length, context_length(model.config))
    encoded = [encode(text, row, limit) for row in rows]
    fitting = [tokens for tokens in encoded if isinstance(tokens, Tokens)]
    left_out = {text.encoder.tokenizer.convert_tokens_to_ids(token) for token in text.encoder.control}
    prompts = [
        (known or {}).get(key_of_prompt(row))
        for row, tokens in zip(rows, encoded, strict=True)
        if isinstance(tokens, Tokens)
    ]
    with_prompt = [None] * len(fitting)
    for new in (True, False):
        numbers = [number for number, prompt in enumerate(prompts) if (prompt is None) == new]
        scored = token_scores(model, [fitting[i].parts() for i in numbers], batch_tokens, left_out, prompts=new)
        for number, found in zip(numbers, scored, strict=True):
            with_prompt[number] = found
    direct = direct_nlls(model, [without_prompt(text.bos, tokens.response()) for tokens in fitting], batch_tokens)
    columns = [*SUMS, *(PER_TOKEN if per_token else {})]
    scored = (summarize(*scores, columns) for scores in zip(fitting, with_prompt, direct, prompts, strict=True))
    return [next(scored) if isinstance(row, Tokens) else unusable(row, columns) for row in encoded]


def without_prompt(bos: list[int], response: list[int]) -> tuple[list[int], list[int]]:
    """Context and targets of the response only; without BOS its first token is the context and is not scored."""
    return (bos, response) if bos else (response[:1], response[1:])


def summarize(
    tokens: Tokens, with_prompt: Scored, direct_nll: torch.Tensor, prompt: tuple[int, float] | None, columns: list[str]
) -> dict:
    """The columns of one row, from what is predicted for each of its targets in both forward passes.

    prompt: number of tokens and nll of the prompt, if they are known.
    """
    (nll, rank, entropy, brier), end = with_prompt.predictions, tokens.ends()
    if not all(values.isfinite().all() for values in (nll, with_prompt.prompt_nll, direct_nll)):
        return unusable("not_finite", columns)
    first = torch.tensor(tokens.first, dtype=torch.bool)
    prompt_n_tokens, prompt_nll = prompt or (len(with_prompt.prompt_nll), with_prompt.prompt_nll.sum().item())
    values = {
        "n_tokens": (~end).sum().item(),
        "nll": nll[~end].sum().item(),
        "rank_sum": rank[~end].sum().item(),
        "entropy": entropy[~end].sum().item(),
        "brier": brier[~end].sum().item(),
        "first_n_tokens": first.sum().item(),
        "first_nll": nll[~end][first].sum().item(),
        "end_n_tokens": end.sum().item(),
        "end_nll": nll[end].sum().item(),
        "end_rank_sum": rank[end].sum().item(),
        "end_entropy": entropy[end].sum().item(),
        "end_brier": brier[end].sum().item(),
        "prompt_n_tokens": prompt_n_tokens,
        "prompt_nll": prompt_nll,
        "answer_similarity": with_prompt.answer_similarity,
        "prompt_similarity": with_prompt.prompt_similarity,
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


def token_scores(
    model,
    rows: list[tuple[list[int], ...]],
    batch_tokens: int,
    left_out: set[int] = frozenset(),
    prompts: bool = True,
) -> list[Scored]:
    """For each row, given and scored ids by turns, what the model predicts: see scripts/likelihoods/forward_pass.py."""
    head = output_head(model)
    return in_batches(
        model, rows, batch_tokens, lambda rows: score_prompt_and_answer(model, head, rows, left_out, prompts)
    )
