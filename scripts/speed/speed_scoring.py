"""Scoring to be timed: each function makes models of random weights and texts, and gives the work itself.

The plain way of likelihoods and rewards is the same code with a row at a time; that of the head, all logits at once.
"""

import random
from pathlib import Path

import torch
from transformers import LlamaForSequenceClassification

from scripts.likelihoods.chunked_head import nll_and_rank
from scripts.likelihoods.token_scores import RANK_LIMIT
from scripts.likelihoods.token_scores import score_rows as score_likelihoods
from scripts.miniature.miniature_models import byte_tokenizer, new_llama
from scripts.miniature.miniature_tasks import STYLES, draw_tasks
from scripts.models.chat import Chat
from scripts.models.loading import device
from scripts.models.reward_scorer import score_rows as score_rewards

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "config/miniature/chat.jinja"
BATCH_TOKENS = {"grouped": 16384 if torch.cuda.is_available() else 1024, "a row at a time": 1}


def texts(n: int, answers: int, spread: float) -> list[dict]:
    """n rows of instruction, response and finish_reason: the miniature's tasks, one token a byte.

    A response is so many worked answers in the median, their number log-normal with that sigma.
    """
    rng, tasks, rows = random.Random(0), draw_tasks("speed"), []
    for task in (next(tasks) for _ in range(n)):
        more = [next(tasks) for _ in range(round(answers * rng.lognormvariate(0, spread)) - 1)]
        response = "\n".join(map(STYLES["worked"], [task, *more]))
        rows.append({"instruction": task.instruction, "response": response, "finish_reason": "stop"})
    return rows


def chat() -> Chat:
    tokenizer = byte_tokenizer(TEMPLATE.read_text(encoding="utf-8"))
    tokenizer.model_max_length = 10**9  # longer rows are cut here, without a warning
    return Chat(tokenizer)


def likelihoods(way: str, hidden: int, layers: int, rows: int, answers: int, spread: float):
    """Gives nll of each row, given the instruction and alone."""
    torch.manual_seed(0)
    model = new_llama(byte_tokenizer(), hidden, layers).to(device()).eval()
    given, text = texts(rows, answers, spread), chat()

    def work() -> list[float]:
        sums = score_likelihoods(text, model, given, 512, BATCH_TOKENS[way])
        return [row[name] for row in sums for name in ("nll", "direct_nll")]

    return work


def rewards(way: str, hidden: int, layers: int, rows: int, answers: int, spread: float):
    """Gives the reward of each row."""
    torch.manual_seed(0)
    config = new_llama(byte_tokenizer(), hidden, layers).config
    config.num_labels = 1
    model = LlamaForSequenceClassification(config).to(device()).eval()
    pairs, text = [(row["instruction"], row["response"]) for row in texts(rows, answers, spread)], chat()
    return lambda: [row["reward"] for row in score_rewards(text, model, pairs, BATCH_TOKENS[way])]


def head(way: str, tokens: int, vocabulary: int, hidden: int):
    """Gives nll and rank of each token."""
    torch.manual_seed(0)
    weight = torch.randn(vocabulary, hidden, device=device()) / hidden**0.5
    states, targets = torch.randn(tokens, hidden, device=device()), torch.arange(tokens, device=device())

    @torch.inference_mode()
    def work() -> list[float]:
        if way == "chunked":
            nll, rank = nll_and_rank(lambda h: h @ weight.T, states, targets, RANK_LIMIT)
        else:
            logits = states @ weight.T
            nll = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
            rank = (logits > logits.gather(1, targets[:, None])).sum(1).add(1).clamp(max=RANK_LIMIT)
        return nll.tolist() + rank.tolist()

    return work
