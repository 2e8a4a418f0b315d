"""The engine `transformers`: batches through Hugging Face's `generate`, on one device."""

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from scripts.engines.decoding import decode, decode_logprobs, stop_ids
from scripts.engines.results import messages_of, prompt_room, row_seed, without_text
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
ENVIRONMENT = "train"
ENDPOINT = False
GPUS = None
OPERATIONAL = ()
BLOCK = 512


def check(entry: dict) -> list[str]:
    """Nothing: the engine has no settings of its own."""
    return []


def load(spec: dict):
    """Load a model and return its function from rows to results (see generation.py).

    spec: model, revision, chat_template, trust_remote_code and sampling (max_new_tokens, temperature, top_p, seed,
    batch_tokens, options). `options` are further parameters of GenerationConfig. Exits if max_new_tokens leaves no room
    for a prompt.
    """
    chat = Chat(load_tokenizer(**pretrained(spec), chat_template=spec["chat_template"]))
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    stops = stop_ids(chat, model.generation_config)
    # the model's own defaults (repetition penalty, top-k) would change what the config's sampling means
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=chat.end[-1])
    sampling = spec["sampling"]
    room = prompt_room(spec, context_length(model.config))

    def generate(rows: list[dict]) -> list[dict]:
        torch.manual_seed(row_seed(sampling["seed"], rows))
        prompts = [chat.ask(messages_of(row)) for row in rows]
        results = [None if len(p) <= room else without_text("prompt_over_long") for p in prompts]
        fitting = [i for i, result in enumerate(results) if result is None]
        lengths = [len(prompts[i]) + sampling["max_new_tokens"] for i in fitting]
        for batch in batches(lengths, sampling["batch_tokens"]):
            numbers = [fitting[j] for j in batch]
            generated = within_memory(
                lambda batch: continue_prompts(model, batch, sampling), [prompts[i] for i in numbers], sampling
            )
            for i, (ids, logprobs) in zip(numbers, generated, strict=True):
                n_prompt_tokens = {"n_prompt_tokens": len(prompts[i])}
                results[i] = decode(chat, ids, stops) | decode_logprobs(chat, logprobs) | n_prompt_tokens
        return results

    return generate


def within_memory(compute, prompts: list[list[int]], sampling: dict) -> list[tuple]:
    """compute(prompts). If memory runs out, greedy decoding continues in smaller batches.

    Sampling exits instead: the samples depend on the batch.
    """
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
    """For each prompt, the generated ids and the log-probabilities of the first token.

    The ids include the padding after an end; decoding is greedy at temperature 0. The log-probabilities are a dict from
    id to log-probability of the `logprobs` most likely tokens, or None if sampling does not ask for them.
    """
    ids, mask, _ = pad_left(prompts, pad=model.generation_config.pad_token_id)
    options = {"do_sample": False}
    if sampling["temperature"] > 0:
        options = {"do_sample": True, "temperature": sampling["temperature"], "top_p": sampling["top_p"], "top_k": 0}
    n = sampling.get("logprobs")
    options |= {"max_new_tokens": sampling["max_new_tokens"], **sampling["options"]}
    out = model.generate(
        input_ids=ids, attention_mask=mask, return_dict_in_generate=True, output_logits=bool(n), **options
    )
    first = [None] * len(prompts)
    if n:
        top = out.logits[0].float().log_softmax(-1).topk(n)
        first = [dict(zip(i, p, strict=True)) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
    return list(zip(out.sequences[:, ids.shape[1] :].tolist(), first, strict=True))
