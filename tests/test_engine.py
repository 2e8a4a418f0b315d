"""The engine transformers: greedy answers equal a plain loop for every batch size, and no prompt is lost."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from conftest import ROOT
from scripts.engines import engine_transformers
from scripts.engines.decoding import decode
from scripts.engines.results import with_text
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

SAMPLING = {"max_new_tokens": 12, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 100_000, "options": {}}
PROMPTS = ["Add 3 and 4", "Reverse ban", "x" * 90, "\u4f60\u597d <|end|> <|assistant|>", "a", "Repeat fok"]


def spec(tiny, **sampling):
    template = str(ROOT / "config/templates/plain.jinja")
    names = {"model": str(tiny), "revision": None, "trust_remote_code": False, "chat_template": template}
    return {**names, "sampling": SAMPLING | sampling}


def ask(spec: dict, prompts: list[str]) -> list[dict]:
    rows = [{"id": str(i), "instruction": prompt, "candidate": 0} for i, prompt in enumerate(prompts)]
    return engine_transformers.load(spec)(rows, spec["sampling"])


@torch.no_grad()
def plain(tiny, prompt: str) -> tuple[list[int], str]:
    """Ids by argmax over one unpadded row, up to the end of turn, with the finish reason."""
    chat = Chat(load_tokenizer(str(tiny), chat_template=str(ROOT / "config/templates/plain.jinja")))
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    ids, start = chat.prompt(prompt), len(chat.prompt(prompt))
    for _ in range(SAMPLING["max_new_tokens"]):
        token = model(torch.tensor([ids])).logits[0, -1].argmax().item()
        if token == chat.end[-1]:
            return ids[start:], "stop"
        ids.append(token)
    return ids[start:], "length"


@pytest.mark.parametrize("batch_tokens", [1, 150, 100_000])
def test_greedy_answers_equal_a_plain_loop(tiny, batch_tokens):
    answers = ask(spec(tiny, batch_tokens=batch_tokens), PROMPTS)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids, finish_reason = plain(tiny, prompt)
        assert (answer["n_tokens"], answer["finish_reason"]) == (len(ids), finish_reason)


def test_a_models_own_generation_defaults_do_not_change_greedy(tiny, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny)
    model.generation_config = GenerationConfig(repetition_penalty=3.0, do_sample=True, top_k=5, temperature=2.0)
    model.save_pretrained(tmp_path)
    for file in tiny.glob("tokenizer*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert ask(spec(tmp_path), PROMPTS) == ask(spec(tiny), PROMPTS)


def test_the_same_seed_gives_the_same_samples_and_another_seed_gives_different_ones(tiny):
    samples = [ask(spec(tiny, temperature=1.0, seed=seed), PROMPTS) for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]


def test_a_prompt_longer_than_the_context_gets_a_reason_and_the_other_rows_are_answered(tiny):
    answers = ask(spec(tiny), ["a", "b" * 600, "c"])
    assert [answer["reason"] == "prompt_over_long" for answer in answers] == [False, True, False]
    assert answers[1]["text"] is None


def test_max_new_tokens_as_large_as_the_context_is_an_error(tiny):
    message = r"max_new_tokens \(512\) leaves no room for a prompt in the context of 512"
    with pytest.raises(SystemExit, match=message):
        ask(spec(tiny, max_new_tokens=512), PROMPTS)


@pytest.mark.fault(8)
def test_half_a_character_from_an_endpoint_is_replaced_and_gets_a_reason():
    answer = with_text(json.loads('"cut in an emoji \\ud83d"'), "length", 5)
    assert answer["text"].startswith("cut in an emoji \ufffd") and answer["reason"] == "undecodable"
    answer["text"].encode()  # it can be written to a file


def test_empty_and_undecodable_answers_get_a_reason(tiny):
    chat = Chat(load_tokenizer(str(tiny), chat_template=str(ROOT / "config/templates/plain.jinja")))
    stop = chat.end[-1]
    blank, cut = chat.response("  \n"), chat.response("\u4f60")[:2]
    assert decode(chat, [stop, stop], [stop])["reason"] == "empty"
    assert decode(chat, [*blank, stop], [stop])["reason"] == "empty"
    assert decode(chat, cut, [stop])["reason"] == "undecodable"
    result = decode(chat, [*chat.response("7"), stop, stop], [stop])
    assert result == {"text": "7", "finish_reason": "stop", "n_tokens": 1, "reason": None}
