"""The engine transformers: greedy answers equal a plain loop whatever the batches, and no prompt is lost."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from conftest import ROOT
from scripts.engines import engine_transformers
from scripts.engines.decoding import answered
from scripts.engines.results import told
from scripts.models.chat import Chat, load_tokenizer

SAMPLING = {"max_new_tokens": 12, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 100_000, "options": {}}
PROMPTS = ["Add 3 and 4", "Reverse ban", "x" * 90, "\u4f60\u597d <|end|> <|assistant|>", "a", "Repeat fok"]


def spec(tiny, **sampling):
    template = str(ROOT / "config/templates/plain.jinja")
    names = {"model": str(tiny), "revision": None, "trust_remote_code": False, "chat_template": template}
    return {**names, "sampling": SAMPLING | sampling}


def ask(spec: dict, prompts: list[str]) -> list[dict]:
    rows = [{"id": str(i), "instruction": prompt, "candidate": 0} for i, prompt in enumerate(prompts)]
    return engine_transformers.load(spec)(rows)


@torch.no_grad()
def plain(tiny, prompt: str) -> tuple[list[int], str]:
    """Ids by argmax over one unpadded row, up to the end of turn, and the finish reason."""
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


def test_sampling_repeats_with_its_seed_and_changes_with_another(tiny):
    draw = [ask(spec(tiny, temperature=1.0, seed=seed), PROMPTS) for seed in (0, 0, 1)]
    assert draw[0] == draw[1] != draw[2]


def test_a_prompt_beyond_the_context_is_set_aside_alone(tiny):
    answers = ask(spec(tiny), ["a", "b" * 600, "c"])
    assert [answer["reason"] == "prompt_over_long" for answer in answers] == [False, True, False]
    assert answers[1]["text"] is None


def test_no_room_for_an_answer_is_an_error_that_says_so(tiny):
    with pytest.raises(SystemExit, match="max_new_tokens 512 fills its context"):
        ask(spec(tiny, max_new_tokens=512), PROMPTS)


@pytest.mark.fault(8)
def test_half_a_character_from_an_endpoint_is_replaced_and_flagged():
    answer = told(json.loads('"cut in an emoji \\ud83d"'), "length", 5)
    assert answer["text"].startswith("cut in an emoji \ufffd") and answer["reason"] == "undecodable"
    answer["text"].encode()  # it can be written


def test_empty_and_undecodable_answers_get_a_reason(tiny):
    chat = Chat(load_tokenizer(str(tiny), chat_template=str(ROOT / "config/templates/plain.jinja")))
    stop = chat.end[-1]
    blank, cut = chat.response("  \n"), chat.response("\u4f60")[:2]
    assert answered(chat, [stop, stop], [stop])["reason"] == "empty"
    assert answered(chat, [*blank, stop], [stop])["reason"] == "empty"
    assert answered(chat, cut, [stop])["reason"] == "undecodable"
    whole = answered(chat, [*chat.response("7"), stop, stop], [stop])
    assert whole == {"text": "7", "finish_reason": "stop", "n_tokens": 1, "reason": None}
