"""Likelihoods and rewards: right in bfloat16 and in any batch, how fast, how much memory, and when memory runs out."""

import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from scripts.likelihoods import chunked_head, token_scores
from scripts.likelihoods.chunked_head import in_chunks
from scripts.likelihoods.predictions import RANK_LIMIT, predict
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models import reward_scorer
from scripts.models.batching import pad_left
from scripts.models.chat import Chat
from scripts.models.loading import device, load_model
from tests.gpu.shapes import (
    Scale,
    new_model,
    peak_gib,
    random_pairs,
    reset_memory,
    share_of_peak,
    synchronize,
    used_gib,
)

TEMPLATE = Path(__file__).parents[2] / "config/miniature/chat.jinja"
SPREAD = 4.2  # standard deviation of the logits: sampled tokens then have 2 to 3 nats, as in real models
ONE_BATCH = 10**9


def likelihoods_right(shape: str, scale: Scale):
    """bfloat16 against float32 with the same weights, and a batch of 1 against a batch of all rows.

    The targets are sampled from the model. The last figures are those of bfloat16 with the output head in float32.
    """
    with tempfile.TemporaryDirectory() as folder:
        save_model(shape, scale, folder)
        exact_model = in_float32(AutoModelForCausalLM, folder)
        pairs = sampled_pairs(exact_model, scale)
        exact = scored(exact_model, pairs, ONE_BATCH)
        yield compared("float32, batch of 1", scored(exact_model, pairs, 1), exact)
        del exact_model
        model = in_bfloat16(AutoModelForCausalLM, folder)
    batched = scored(model, pairs, ONE_BATCH)
    yield compared(f"bfloat16, batch of {len(pairs)}", batched, exact)
    single = scored(model, pairs, 1)
    yield compared("bfloat16, batch of 1", single, exact)
    yield compared(f"bfloat16, batch of 1 (reference: batch of {len(pairs)})", single, batched)
    with torch.inference_mode():
        rows = token_scores.score_prompt_and_answer(model, float32_head(model), pairs, set())
        yield compared("bfloat16, head in float32", [row.predictions[:2] for row in rows], exact)


def compared(what: str, scores: list[tuple], reference: list[tuple]) -> dict:
    """How far nll (nats per token) and rank of all tokens, and the mean nll of rows, are from the reference."""
    nll, exact = (torch.cat([row[0] for row in rows]).numpy() for rows in (scores, reference))
    rank, exact_rank = (torch.cat([row[1] for row in rows]).numpy() for rows in (scores, reference))
    row, exact_row = ([values[0].mean().item() for values in rows] for rows in (scores, reference))
    return {
        "what": what,
        "tokens": len(nll),
        "mean_nll": nll.mean(),
        "nll_greatest_difference": np.abs(nll - exact).max(),
        "nll_mean_difference": np.abs(nll - exact).mean(),
        "nll_bias": (nll - exact).mean(),
        "row_greatest_difference": np.abs(np.subtract(row, exact_row)).max(),
        "row_order_spearman": spearmanr(row, exact_row).statistic,
        "rank_equal_share": (rank == exact_rank).mean(),
        "rank_mean": rank.mean(),
        "rank_bias": (rank - exact_rank).mean(),
    }


def rewards_right(shape: str, scale: Scale):
    """The same comparisons for the rewards of a sequence classifier."""
    rng = random.Random(0)
    text = lambda longest: "".join(rng.choices("abcdefgh ,.\n", k=rng.randint(4, longest)))  # noqa: E731
    pairs = [(text(scale.target // 2), text(3 * scale.target)) for _ in range(scale.rows)]
    chat = Chat(chat_tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        save_model(shape, scale, folder, num_labels=1)
        exact_model = in_float32(AutoModelForSequenceClassification, folder)
        exact = rewards_of(chat, exact_model, pairs, ONE_BATCH)
        yield compared_rewards("float32, batch of 1", rewards_of(chat, exact_model, pairs, 1), exact)
        del exact_model
        model = in_bfloat16(AutoModelForSequenceClassification, folder)
    batched, single = (rewards_of(chat, model, pairs, tokens) for tokens in (ONE_BATCH, 1))
    yield compared_rewards(f"bfloat16, batch of {len(pairs)}", batched, exact)
    yield compared_rewards("bfloat16, batch of 1", single, exact)
    yield compared_rewards(f"bfloat16, batch of 1 (reference: batch of {len(pairs)})", single, batched)


def rewards_of(chat: Chat, model, pairs: list[tuple[str, str]], batch_tokens: int) -> np.ndarray:
    return np.array([row["reward"] for row in reward_scorer.score_rows(chat, model, pairs, batch_tokens)])


def compared_rewards(what: str, rewards: np.ndarray, exact: np.ndarray) -> dict:
    return {
        "what": what,
        "rows": len(rewards),
        "reward_standard_deviation": exact.std(),
        "greatest_difference": np.abs(rewards - exact).max(),
        "mean_difference": np.abs(rewards - exact).mean(),
        "bias": (rewards - exact).mean(),
        "order_spearman": spearmanr(rewards, exact).statistic,
    }


def likelihood_speed(shape: str, scale: Scale):
    """Real tokens per second of the product at several batch sizes, and of a plain loop with all logits of a row."""
    model = new_model(shape, dtype(), scale).eval()
    pairs = random_pairs(scale.scored, model.config.vocab_size, scale)
    some = slice(None, None, max(1, len(pairs) // 24))
    for batch_tokens in (8192, 16384, 32768):
        figures, scores = timed(model, pairs, lambda rows, n=batch_tokens: scored(model, rows, n))
        yield {"what": f"batch_tokens {batch_tokens}", **figures}
    figures, plain = timed(model, pairs[some], lambda rows: [plain_row(model, row) for row in rows])
    apart = [abs((nll.mean() - other.mean()).item()) for (nll, _), (other, _) in zip(scores[some], plain, strict=True)]
    yield {"what": "a row at a time, all logits", **figures, "row_greatest_difference": max(apart)}


def timed(model, rows: list[tuple], score) -> tuple[dict, list[tuple]]:
    """Speed and memory of scoring rows, and their scores."""
    score(rows[:4])
    reset_memory()
    before, start = used_gib(), time.perf_counter()
    scores = score(rows)
    synchronize()
    seconds, tokens = time.perf_counter() - start, sum(len(context) + len(target) for context, target in rows)
    figures = {"rows": len(rows), "tokens": tokens, "tokens_per_second": tokens / seconds}
    figures["mfu_2n"] = share_of_peak(2 * model.num_parameters() * tokens / seconds)
    return figures | {"gib_beyond_model": (peak_gib() or 0) - before}, scores


def scored(model, rows: list[tuple], batch_tokens: int) -> list[tuple]:
    """nll and rank of each row's targets."""
    return [row.predictions[:2] for row in token_scores.token_scores(model, rows, batch_tokens)]


@torch.inference_mode()
def plain_row(model, row: tuple[list[int], list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """nll and rank of a row's targets from all of its logits: what the product is compared with."""
    context, target = row
    ids = torch.tensor([context + target], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1].float()
    targets = ids[0, len(context) :]
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    rank = (logits > logits.gather(1, targets[:, None])).sum(1).add(1).clamp(max=RANK_LIMIT)
    return nll.double().cpu(), rank.cpu()


@torch.inference_mode()
def head_memory(scale: Scale):
    """Memory and time of the output head over 8,192 tokens of a vocabulary of 256,000, by positions at a time."""
    tokens, vocabulary, width = (64, 600, 16) if scale.tiny else (8192, 256_000, 2304)
    weight = torch.randn(vocabulary, width, device=device(), dtype=dtype()) / width**0.5
    states = torch.randn(tokens, width, device=device(), dtype=dtype())
    targets = torch.arange(tokens, device=device())
    for chunk in (256, 1024, 4096, tokens):
        with patch.object(chunked_head, "CHUNK", chunk):
            work = lambda: in_chunks(predict, lambda hidden: (hidden @ weight.T).float(), states, targets)  # noqa: E731
            work()
            reset_memory()
            before, start = used_gib(), time.perf_counter()
            work()
            synchronize()
            seconds = time.perf_counter() - start
        what = "all logits" if chunk == tokens else f"{chunk} positions at a time"
        yield {"what": what, "seconds_of_head": seconds, "gib": (peak_gib() or 0) - before}


def halving(shape: str, scale: Scale):
    """Scoring while other memory is taken: the batch is halved, and the results are those of the undisturbed run.

    On a CPU the lack of memory is simulated.
    """
    for precision in (torch.float32, dtype()):
        model = new_model(shape, precision, scale).eval()
        pairs = random_pairs(scale.rows, model.config.vocab_size, scale)
        scored(model, pairs[:2], ONE_BATCH)
        reset_memory()
        before = used_gib()
        undisturbed = scored(model, pairs, ONE_BATCH)
        needed = (peak_gib() or 0) - before
        with memory_for(0.3 * needed, rows=2) as failures:
            disturbed = scored(model, pairs, ONE_BATCH)
        figures = compared(f"{precision}, halved", disturbed, undisturbed)
        yield figures | {"gib_needed": needed, "batches_that_did_not_fit": failures}
        if not failures:
            raise AssertionError("memory did not run out: nothing was tested")
    with memory_for(0.05, rows=0):
        try:
            scored(model, pairs, ONE_BATCH)
        except SystemExit as error:
            yield {"what": "not enough memory for one row", "message": str(error)}
        else:
            raise AssertionError("a row was scored without memory")


@contextmanager
def memory_for(gib: float, rows: int):
    """Leave only so much GPU memory, or on a CPU let larger batches fail; the sizes of batches that did not fit."""
    failures, score = [], token_scores.score_prompt_and_answer

    def watched(model, head, batch, *how):
        try:
            if not torch.cuda.is_available() and len(batch) > rows:
                raise torch.OutOfMemoryError("simulated")
            return score(model, head, batch, *how)
        except torch.OutOfMemoryError:
            failures.append(len(batch))
            raise

    with patch.object(token_scores, "score_prompt_and_answer", watched):
        ballast = fill_memory_except(gib)
        yield failures
        del ballast


def fill_memory_except(gib: float) -> torch.Tensor | None:
    if not torch.cuda.is_available():
        return None
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    return torch.empty(max(int(free - gib * 2**30) - 2**25, 0), dtype=torch.uint8, device="cuda")


def dtype() -> torch.dtype:
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def save_model(shape: str, scale: Scale, folder: str, **options) -> None:
    """A model whose logits, or rewards, vary as those of real models do, in bfloat16."""
    model = new_model(shape, torch.float32, scale, tie_word_embeddings=False, **options).eval()
    ids = torch.arange(5, 133, device=model.device)[None]
    with torch.inference_mode():
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
    head = model.score if options else model.get_output_embeddings()
    with torch.no_grad():
        head.weight.mul_(SPREAD / (hidden @ head.weight.T).std())
    model.to(torch.bfloat16).save_pretrained(folder)


def in_float32(auto, folder: str):
    eager = {"attn_implementation": "eager"} if "gemma2" in (Path(folder) / "config.json").read_text("utf-8") else {}
    return auto.from_pretrained(folder, dtype=torch.float32, **eager).to(device()).eval()


def in_bfloat16(auto, folder: str):
    """The model as the product loads it on a GPU."""
    return load_model(auto, folder) if torch.cuda.is_available() else in_float32(auto, folder).to(torch.bfloat16)


def sampled_pairs(model, scale: Scale) -> list[tuple[list[int], list[int]]]:
    """Random contexts, and targets of several lengths that the model continues them with."""
    rng = random.Random(0)
    contexts = [
        [rng.randrange(5, model.config.vocab_size) for _ in range(rng.randint(8, 64))] for _ in range(scale.rows)
    ]
    ids, mask = pad_left(contexts, pad=0)
    how = {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0, "pad_token_id": 0}
    how |= {"min_new_tokens": scale.target, "max_new_tokens": scale.target}
    torch.manual_seed(0)
    said = model.generate(input_ids=ids, attention_mask=mask, **how)[:, ids.shape[1] :].tolist()
    return [(context, target[: rng.randint(4, scale.target)]) for context, target in zip(contexts, said, strict=True)]


def float32_head(model):
    """Logits from float32 products of the bfloat16 weights and hidden states."""
    weight, cap = model.get_output_embeddings().weight.float(), getattr(model.config, "final_logit_softcapping", None)

    def head(hidden: torch.Tensor) -> torch.Tensor:
        logits = hidden.float() @ weight.T
        return cap * torch.tanh(logits / cap) if cap else logits

    return head


def chat_tokenizer():
    tokenizer = byte_tokenizer(TEMPLATE.read_text(encoding="utf-8"))
    tokenizer.model_max_length = 10**9
    return tokenizer
