"""Benchmarks of scoring: each function prepares a random model and texts, and returns the work to be timed.

For comparison: likelihoods and rewards by the same code with one row per batch, the head with all logits at once.
"""

import random
from pathlib import Path

import torch
from transformers import LlamaForSequenceClassification

from scripts.likelihoods.chunked_head import in_chunks
from scripts.likelihoods.predictions import predict
from scripts.likelihoods.token_scores import score_rows as score_likelihoods
from scripts.miniature.miniature_models import new_llama
from scripts.miniature.miniature_tasks import STYLES, draw_tasks
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models.chat import Chat
from scripts.models.loading import device
from scripts.models.reward_scorer import score_rows as score_rewards

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "config/miniature/chat.jinja"
BATCH_TOKENS = {"grouped": 16384 if torch.cuda.is_available() else 1024, "a row at a time": 1}


def texts(n: int, answers: int, spread: float) -> list[dict]:
    """n rows of instruction, response and finish_reason: tasks of the miniature, one token per byte.

    A response is a sequence of worked answers. Their number is log-normal, with median `answers` and sigma `spread`.
    """
    rng, tasks, rows = random.Random(0), draw_tasks("speed"), []
    for task in (next(tasks) for _ in range(n)):
        further = [next(tasks) for _ in range(round(answers * rng.lognormvariate(0, spread)) - 1)]
        response = "\n".join(map(STYLES["worked"], [task, *further]))
        rows.append({"instruction": task.instruction, "response": response, "finish_reason": "stop"})
    return rows


def chat() -> Chat:
    tokenizer = byte_tokenizer(TEMPLATE.read_text(encoding="utf-8"))
    tokenizer.model_max_length = 10**9  # longer rows are cut by the benchmark, without a warning
    return Chat(tokenizer)


def likelihoods(method: str, hidden: int, layers: int, rows: int, answers: int, spread: float):
    """The work returns two sums of nll (nats) per row: with the instruction and without it."""
    torch.manual_seed(0)
    model = new_llama(byte_tokenizer(), hidden, layers).to(device()).eval()
    inputs, text = texts(rows, answers, spread), chat()

    def work() -> list[float]:
        sums = score_likelihoods(text, model, inputs, 512, BATCH_TOKENS[method])
        return [row[name] for row in sums for name in ("nll", "direct_nll")]

    return work


def rewards(method: str, hidden: int, layers: int, rows: int, answers: int, spread: float):
    """The work returns the reward of each row."""
    torch.manual_seed(0)
    config = new_llama(byte_tokenizer(), hidden, layers).config
    config.num_labels = 1
    model = LlamaForSequenceClassification(config).to(device()).eval()
    pairs, text = [(row["instruction"], row["response"]) for row in texts(rows, answers, spread)], chat()
    return lambda: [row["reward"] for row in score_rewards(text, model, pairs, BATCH_TOKENS[method])]


def head(method: str, tokens: int, vocabulary: int, hidden: int):
    """The work returns the nll (nats) of all tokens, then ranks, entropies and Brier scores."""
    torch.manual_seed(0)
    weight = torch.randn(vocabulary, hidden, device=device()) / hidden**0.5
    states, targets = torch.randn(tokens, hidden, device=device()), torch.arange(tokens, device=device())

    @torch.inference_mode()
    def work() -> list[float]:
        if method == "chunked":
            values = in_chunks(predict, lambda h: h @ weight.T, states, targets)
        else:
            values = predict(states @ weight.T, targets)
        return [number for value in values for number in value.tolist()]

    return work
