"""Rewards do not depend on the batch, and equal the classifier's own output for a single row."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from scripts.models.chat import Chat
from scripts.models.reward_scorer import score_rows
from scripts.models.tokenizers import load_tokenizer

PAIRS = [
    ("Add 3 and 4", "7"),
    ("Reverse ban", "nab"),
    ("Repeat " + "fok" * 20, "fok" * 40),
    ("\u4f60", "<|end|> x"),
    ("a", "b"),
]


@pytest.fixture(scope="module")
def chat(tiny_reward_model):
    return Chat(load_tokenizer(str(tiny_reward_model)))


@pytest.mark.parametrize("padding", ["none", "its own", "the end of turn"])
def test_a_row_has_the_same_reward_in_a_batch_and_alone(tiny_reward_model, chat, padding):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_reward_model).eval()
    pad = {"none": None, "its own": chat.tokenizer.pad_token_id, "the end of turn": chat.end[-1]}[padding]
    model.config.pad_token_id = pad
    with torch.no_grad():
        single = [model(torch.tensor([chat.conversation(*pair)])).logits.item() for pair in PAIRS]
    for batch_tokens in (1, 64, 10_000):
        got = score_rows(chat, model, PAIRS, batch_tokens)
        assert [row["reward"] for row in got] == pytest.approx(single, abs=1e-5)
    assert model.config.pad_token_id == pad


def test_only_the_conversation_longer_than_the_context_is_set_aside(tiny_reward_model, chat):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_reward_model).eval()
    got = score_rows(chat, model, [PAIRS[0], ("a", "b" * 600)], 10_000)
    assert got[1] == {"reward": None, "unusable": "over_long"} and got[0]["reward"] is not None
