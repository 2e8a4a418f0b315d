"""The engine `transformers`: batched generation with Hugging Face's own generate."""

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from chat import Chat, load_tokenizer
from model_loading import batches, context_length, load_model, pad_left
from rows import digest


def load(spec: dict):
    """Load a model and return `generate(instructions) -> answers`, one answer per instruction in their order.

    spec: model, revision, chat_template and sampling (max_new_tokens, temperature, top_p, seed, batch_tokens).
    An answer is a dict of text (None where there is none), finish_reason (stop | length), n_tokens (generated tokens,
    the end of turn not counted) and reason (why the text cannot be used, else None).
    """
    chat = Chat(load_tokenizer(spec["model"], spec["revision"], spec["chat_template"]))
    model = load_model(AutoModelForCausalLM, spec["model"], spec["revision"])
    stops = stop_ids(chat, model.generation_config)
    # a model's own defaults (repetition penalty, top-k) would change what the config's sampling means
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=chat.end[-1])
    sampling = spec["sampling"]
    room = context_length(model.config) - sampling["max_new_tokens"]
    if room < 1:
        raise SystemExit(f"{spec['model']}: max_new_tokens {sampling['max_new_tokens']} fills its context: lower it")

    def generate(instructions: list[str]) -> list[dict]:
        torch.manual_seed(int(digest([sampling["seed"], instructions])[:15], 16))
        prompts = [chat.prompt(instruction) for instruction in instructions]
        answers = [None if len(p) <= room else unanswered("prompt_over_long") for p in prompts]
        asked = [i for i, answer in enumerate(answers) if answer is None]
        lengths = [len(prompts[i]) + sampling["max_new_tokens"] for i in asked]
        for batch in batches(lengths, sampling["batch_tokens"]):
            numbers = [asked[j] for j in batch]
            generated = continue_prompts(model, [prompts[i] for i in numbers], sampling)
            for i, ids in zip(numbers, generated, strict=True):
                answers[i] = answered(chat, ids, stops)
        return answers

    return generate


def stop_ids(chat: Chat, defaults: GenerationConfig) -> list[int]:
    """The end of turn, the tokenizer's end of text and what the model itself names as ends."""
    own = defaults.eos_token_id if isinstance(defaults.eos_token_id, list) else [defaults.eos_token_id]
    return sorted({chat.end[-1], chat.tokenizer.eos_token_id, *own} - {None})


@torch.inference_mode()
def continue_prompts(model, prompts: list[list[int]], sampling: dict) -> list[list[int]]:
    """The ids generated after each prompt, padding behind an end included; greedy at temperature 0."""
    ids, mask, _ = pad_left(prompts, pad=model.generation_config.pad_token_id)
    how = {"do_sample": False}
    if sampling["temperature"] > 0:
        how = {"do_sample": True, "temperature": sampling["temperature"], "top_p": sampling["top_p"], "top_k": 0}
    out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=sampling["max_new_tokens"], **how)
    return out[:, ids.shape[1] :].tolist()


def answered(chat: Chat, ids: list[int], stops: list[int]) -> dict:
    """The answer that generated ids stand for; a text that is empty or not whole UTF-8 gets a reason."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    finish_reason, ids = ("length", ids) if end is None else ("stop", ids[:end])
    text = chat.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    answer = {"text": text, "finish_reason": finish_reason, "n_tokens": len(ids), "reason": None}
    if not text.strip():
        return answer | {"text": None, "reason": "empty"}
    return answer | {"reason": "undecodable" if "\ufffd" in text else None}


def unanswered(reason: str) -> dict:
    return {"text": None, "finish_reason": None, "n_tokens": None, "reason": reason}
