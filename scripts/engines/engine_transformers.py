"""The engine `transformers`: batches through Hugging Face's `generate`, on one device."""

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from scripts.engines.decoding import decode, decode_logprobs, prompt_of, refused, stop_ids
from scripts.engines.results import prompt_room, row_seed
from scripts.models.batching import PROBE, agree, batches, longest_together, pad_left, refuse_unless_causal
from scripts.models.loadable import unloadable
from scripts.models.loading import (
    context_length,
    device,
    halve_if_out_of_memory,
    load_chat,
    load_model,
    out_of_memory,
    pretrained,
)

VERSION = 2
ENVIRONMENT = "train"
ENDPOINT = False
GPUS = None
OPERATIONAL = ()
BLOCK = 512
FIRST = torch.tensor([5])  # the token that a probe continues with


def check(entry: dict) -> list[str]:
    """Nothing: the engine has no settings of its own."""
    return []


def check_config(config) -> list[str]:
    """Why transformers cannot load a model of this config."""
    return unloadable(config, "AutoModelForCausalLM")


def load(spec: dict):
    """Load a model and return its function from rows and their sampling to results (see generation.py).

    spec: a model entry (see BASE_KEYS). Sampling: max_new_tokens, temperature, top_p, seed, batch_tokens and options,
    which are further parameters of GenerationConfig. The function exits if max_new_tokens
    leaves no room for a prompt.
    """
    chat = load_chat(spec)
    model = load_model(AutoModelForCausalLM, **pretrained(spec))
    refuse_unless_causal(model, spec["model"])
    stops = stop_ids(chat, model.generation_config)
    # the model's own defaults (repetition penalty, top-k) would change what the config's sampling means
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=[*chat.end, *stops][-1])
    in_batches = batches_agree(model)

    def generate(rows: list[dict], sampling: dict) -> list[dict]:
        room = prompt_room(spec["model"], sampling, context_length(model.config))
        batch_tokens = sampling["batch_tokens"] if in_batches else 1
        torch.manual_seed(row_seed(sampling["seed"], rows))
        prompts = [prompt_of(chat, row) for row in rows]
        results = [refused(prompt, room) for prompt in prompts]
        fitting = [i for i, result in enumerate(results) if result is None]
        lengths = [len(prompts[i]) + sampling["max_new_tokens"] for i in fitting]
        for batch in batches(lengths, batch_tokens, longest_together(model.config)):
            numbers = [fitting[j] for j in batch]
            generated = within_memory(
                lambda batch: continue_prompts(model, batch, sampling), [prompts[i] for i in numbers], sampling
            )
            for i, (ids, logprobs) in zip(numbers, generated, strict=True):
                n_prompt_tokens = {"n_prompt_tokens": len(prompts[i])}
                results[i] = decode(chat, ids, stops) | decode_logprobs(chat, logprobs) | n_prompt_tokens
        return results

    return generate


def batches_agree(model) -> bool:
    """Whether two prompts in a batch give the logits that each gives alone, for the first tokens; else a line says so.

    Padding on the left changes what some architectures compute (RWKV, MiniMax, XLNet, RecurrentGemma).
    """
    together = first_logits(model, PROBE)
    separate = torch.cat([first_logits(model, [row]) for row in PROBE])
    if all(agree(a, b) for a, b in zip(together, separate, strict=True)):
        return True
    print(f"{type(model).__name__} generates something else in a batch: one prompt at a time", flush=True)
    return False


@torch.inference_mode()
def first_logits(model, prompts: list[list[int]]) -> torch.Tensor:
    """Logits (prompts, 2 * vocabulary) of the first two tokens, the first of which is always the same."""
    ids, mask = pad_left(prompts, pad=model.generation_config.pad_token_id)
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=2,
        do_sample=False,
        eos_token_id=None,
        output_logits=True,
        return_dict_in_generate=True,
        logits_processor=[lambda ids, scores: scores.new_full(scores.shape, -1e9).index_fill(1, FIRST.to(device()), 0)],
    )
    return torch.cat(out.logits, dim=1).float()


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
    id to log-probability of the `first_tokens` most likely tokens, or None if sampling does not ask for them.
    """
    ids, mask = pad_left(prompts, pad=model.generation_config.pad_token_id)
    options = {"do_sample": False}
    if sampling["temperature"] > 0:
        options = {"do_sample": True, "temperature": sampling["temperature"], "top_p": sampling["top_p"], "top_k": 0}
    n = sampling.get("first_tokens")
    options |= {"max_new_tokens": sampling["max_new_tokens"], **sampling["options"]}
    out = model.generate(
        input_ids=ids, attention_mask=mask, return_dict_in_generate=True, output_logits=bool(n), **options
    )
    first = [None] * len(prompts)
    if n:
        top = out.logits[0].float().log_softmax(-1).topk(n)
        first = [dict(zip(i, p, strict=True)) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
    return list(zip(out.sequences[:, ids.shape[1] :].tolist(), first, strict=True))
