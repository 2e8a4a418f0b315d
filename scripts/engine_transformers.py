"""The engine `transformers`: batched generation with Hugging Face's own generate."""

import torch
from transformers import AutoModelForCausalLM

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
            for i, ids in zip(
                numbers, continue_prompts(model, chat, [prompts[i] for i in numbers], sampling), strict=True
            ):
                answers[i] = answered(chat, ids)
        return answers

    return generate


@torch.inference_mode()
def continue_prompts(model, chat: Chat, prompts: list[list[int]], sampling: dict) -> list[list[int]]:
    """The ids generated after each prompt, cut behind the end of turn; greedy at temperature 0."""
    ids, mask, _ = pad_left(prompts, pad=chat.end[-1])
    how = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if sampling["temperature"] > 0:
        how = {"do_sample": True, "temperature": sampling["temperature"], "top_p": sampling["top_p"], "top_k": 0}
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=sampling["max_new_tokens"],
        eos_token_id=chat.end[-1],
        pad_token_id=chat.end[-1],
        **how,
    )
    rows = out[:, ids.shape[1] :].tolist()
    return [row[: row.index(chat.end[-1]) + 1] if chat.end[-1] in row else row for row in rows]


def answered(chat: Chat, ids: list[int]) -> dict:
    """The answer that generated ids stand for; a text that is empty or not whole UTF-8 gets a reason."""
    stopped = ids[-1:] == chat.end[-1:]
    ids = ids[:-1] if stopped else ids
    text = chat.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    finish_reason = "stop" if stopped else "length"
    if not text.strip():
        return {"text": None, "finish_reason": finish_reason, "n_tokens": len(ids), "reason": "empty"}
    reason = "undecodable" if "\ufffd" in text else None
    return {"text": text, "finish_reason": finish_reason, "n_tokens": len(ids), "reason": reason}


def unanswered(reason: str) -> dict:
    return {"text": None, "finish_reason": None, "n_tokens": None, "reason": reason}
