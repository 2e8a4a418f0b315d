"""Score conversations with a reward model: a sequence classifier with one output."""

import math
from contextlib import contextmanager
from itertools import count

import torch
from transformers import AutoModelForSequenceClassification

from scripts.models.batching import batch_size_that_agrees, batches, longest_together, pad_right
from scripts.models.chat import Chat
from scripts.models.loading import context_length, device, halve_if_out_of_memory, load_chat, load_model, pretrained
from scripts.models.template import Unrenderable
from scripts.tables.conversations import answer_of, prompt_of, tools_of

VERSION = 2
BLOCK = 512  # rows stored at a time


def load_scorer(spec: dict):
    """Load a reward model; return the function from rows (instruction, response) to results. spec: its config entry."""
    chat = load_chat(spec)
    attention = {"attn_implementation": spec["attn_implementation"]} if spec["attn_implementation"] else {}
    model = load_model(AutoModelForSequenceClassification, **pretrained(spec), **attention)
    if spec["output"] == "logits" and model.config.num_labels != 1:
        raise SystemExit(f"{spec['model']} has {model.config.num_labels} outputs; a reward model has one")

    batch_tokens = batch_size_that_agrees(
        lambda rows: torch.tensor(forward(model, rows, spec["output"])).split(1),
        lambda row: reward_alone(model, row, spec["output"]),
        spec["batch_tokens"],
        spec["model"],
    )

    def score(rows: list[dict]) -> list[dict]:
        pairs = [(prompt_of(row), answer_of(row), tools_of(row)) for row in rows]
        return score_rows(chat, model, pairs, batch_tokens, spec["output"])

    return score


def score_rows(chat: Chat, model, pairs: list[tuple], batch_tokens: int, output: str = "logits") -> list[dict]:
    """reward and `unusable`, the reason why it is null, for each pair of instruction and response (texts or messages).

    A pair may have the tools that the instruction offers as its third.

    `unusable` is `over_long` if the row does not fit into the model's context, and `not_finite` if the reward is NaN or
    infinite, and `unrenderable` or `tools_left_out` if the chat template refuses the texts, or does not write tools or
    calls. `output` names the field of the model's output that has the reward.
    """
    ids = [rendered(chat, *pair) for pair in pairs]
    results = [{"reward": None, "unusable": row if isinstance(row, str) else "over_long"} for row in ids]
    fitting = [i for i, row in enumerate(ids) if isinstance(row, list) and len(row) <= context_length(model.config)]
    for batch in batches([len(ids[i]) for i in fitting], batch_tokens, longest_together(model.config)):
        numbers = [fitting[j] for j in batch]
        rewards = halve_if_out_of_memory(lambda rows: forward(model, rows, output), [ids[i] for i in numbers])
        for i, reward in zip(numbers, rewards, strict=True):
            finite = math.isfinite(reward)
            results[i] = {"reward": reward if finite else None, "unusable": None if finite else "not_finite"}
    return results


def rendered(
    chat: Chat, instruction: str | list[dict], response: str | list[dict], tools: list[dict] | None = None
) -> list[int] | str:
    """Ids of a conversation; the reason if the chat template refuses it, or leaves out tools or calls."""
    try:
        return chat.conversation(instruction, response, tools)
    except Unrenderable as error:
        return error.reason


@torch.inference_mode()
def forward(model, rows: list[list[int]], output: str) -> list[float]:
    """The field `output` of the classifier's output, for each row of ids.

    A classifier takes its score at the last token that is not its padding token, as in its training; its padding token
    is therefore kept, even if it is the end of turn. A classifier without a padding token takes the last token: rows
    are then padded with an id that occurs in none of them. In both cases a row has the same score in a batch and alone.
    """
    config = model.config.get_text_config()
    pad = config.pad_token_id
    if pad is None:
        used = {token for row in rows for token in row}
        pad = next(token for token in count() if token not in used)
    ids, mask = pad_right(rows, pad)
    with padding_token(config, pad):
        scores = model(input_ids=ids, attention_mask=mask)[output]
    return scores.reshape(len(rows)).double().tolist()


@torch.inference_mode()
def reward_alone(model, row: list[int], output: str) -> torch.Tensor:
    """The reward of one row of ids without padding or mask."""
    return model(input_ids=torch.tensor([row], device=device()))[output].reshape(1)


@contextmanager
def padding_token(config, pad: int):
    """`config` with `pad` as its padding token, inside the block."""
    own, config.pad_token_id = config.pad_token_id, pad
    try:
        yield
    finally:
        config.pad_token_id = own
