"""The engine `transformers`: batched generation with Hugging Face's own generate, on one device."""

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from scripts.engines.decoding import answered, likeliest, stop_ids
from scripts.engines.results import messages_of, row_seed, unanswered
from scripts.models.chat import Chat, load_tokenizer
from scripts.models.loading import (
    batches,
    context_length,
    halve_if_out_of_memory,
    load_model,
    out_of_memory,
    pad_left,
    pretrained,
)

VERSION = 1
BLOCK = 512


def load(spec: dict):
    """Load a model and return its function from rows to answers (see generation.py).

    spec: model, revision, chat_template, trust_remote_code and sampling (max_new_tokens, temperature, top_p, seed,
    batch_tokens, options). `options` are further parameters of GenerationConfig.
    """
    chat = Chat(load_tokenizer(**pretrained(spec), chat_template=spec["chat_template"]))
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    stops = stop_ids(chat, model.generation_config)
    # a model's own defaults (repetition penalty, top-k) would change what the config's sampling means
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=chat.end[-1])
    sampling = spec["sampling"]
    room = context_length(model.config) - sampling["max_new_tokens"]
    if room < 1:
        raise SystemExit(f"{spec['model']}: max_new_tokens {sampling['max_new_tokens']} fills its context: lower it")

    def generate(rows: list[dict]) -> list[dict]:
        torch.manual_seed(row_seed(sampling["seed"], rows))
        prompts = [chat.ask(messages_of(row)) for row in rows]
        answers = [None if len(p) <= room else unanswered("prompt_over_long") for p in prompts]
        asked = [i for i, answer in enumerate(answers) if answer is None]
        lengths = [len(prompts[i]) + sampling["max_new_tokens"] for i in asked]
        for batch in batches(lengths, sampling["batch_tokens"]):
            numbers = [asked[j] for j in batch]
            continued = within_memory(
                lambda rows: continue_prompts(model, rows, sampling), [prompts[i] for i in numbers], sampling
            )
            for i, (ids, logprobs) in zip(numbers, continued, strict=True):
                answers[i] = (
                    answered(chat, ids, stops) | likeliest(chat, logprobs) | {"n_prompt_tokens": len(prompts[i])}
                )
        return answers

    return generate


def within_memory(compute, prompts: list[list[int]], sampling: dict) -> list[tuple]:
    """compute(prompts); where memory runs out, in smaller batches, which would draw other samples than the whole."""
    if not sampling["temperature"]:
        return halve_if_out_of_memory(compute, prompts)
    try:
        return compute(prompts)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        lower = f"lower sampling.batch_tokens, which is {sampling['batch_tokens']}"
        raise SystemExit(f"{len(prompts)} rows do not fit into memory at once: {lower}") from None


@torch.inference_mode()
def continue_prompts(model, prompts: list[list[int]], sampling: dict) -> list[tuple[list[int], dict | None]]:
    """The ids generated after each prompt, padding behind an end included, greedy at temperature 0; and of the first
    token of each, id to log-probability of the likeliest, where asked for."""
    ids, mask, _ = pad_left(prompts, pad=model.generation_config.pad_token_id)
    how = {"do_sample": False}
    if sampling["temperature"] > 0:
        how = {"do_sample": True, "temperature": sampling["temperature"], "top_p": sampling["top_p"], "top_k": 0}
    n = sampling.get("logprobs")
    how |= {"max_new_tokens": sampling["max_new_tokens"], **sampling["options"]}
    out = model.generate(input_ids=ids, attention_mask=mask, return_dict_in_generate=True, output_logits=bool(n), **how)
    first = [None] * len(prompts)
    if n:
        top = out.logits[0].float().log_softmax(-1).topk(n)
        first = [dict(zip(i, p, strict=True)) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
    return list(zip(out.sequences[:, ids.shape[1] :].tolist(), first, strict=True))
