"""The engine `vllm`: offline batches on the number of GPUs that tensor_parallel_size says."""

from transformers import GenerationConfig

from scripts.engines.decoding import decode, decode_logprobs, prompt_of, refused, stop_ids
from scripts.engines.results import prompt_room, row_seed
from scripts.models.loadable import quantization_of
from scripts.models.loading import load_chat, pretrained

VERSION = 2
ENVIRONMENT = "vllm"
ENDPOINT = False
GPUS = "tensor_parallel_size"
OPERATIONAL = ("gpu_memory_utilization", "enforce_eager")
BLOCK = 2048  # large: while the last answers of a block are generated, most of the GPU is idle

# the methods in the source of vLLM that need no further package (bitsandbytes and torchao do)
QUANTIZATIONS = ("auto-round", "awq", "compressed-tensors", "fbgemm_fp8", "fp8", "gptq", "inc")
QUANTIZATIONS += ("modelopt", "mxfp4", "mxfp8", "quark")


def check(entry: dict) -> list[str]:
    """Whether max_model_len leaves room for a prompt next to the longest answer."""
    longest, context = entry.get("sampling", {}).get("max_new_tokens", 0), entry.get("vllm", {}).get("max_model_len")
    if context is None or longest < context:
        return []
    return [f"sampling.max_new_tokens ({longest}) leaves no room for a prompt in vllm.max_model_len ({context})"]


def check_config(config) -> list[str]:
    """Whether vLLM can load weights that are quantized in this way. It knows more architectures than transformers."""
    method = (quantization_of(config) or {}).get("quant_method")
    if method is None or method in QUANTIZATIONS:
        return []
    return [f"vLLM cannot load weights quantized with {method}, only with {', '.join(QUANTIZATIONS)}"]


def load(spec: dict):
    """Start the engine and return its function from rows and their sampling to results (see generation.py).

    spec: a model entry (see BASE_KEYS) and vllm (tensor_parallel_size, max_model_len and any other argument of
    vllm.LLM). Sampling: max_new_tokens, temperature, top_p, seed and options, which are further
    SamplingParams. Each sampled row has its own seed, so that it does not depend on the other rows of its batch. The
    function exits if max_new_tokens leaves no room for a prompt.
    """
    from vllm import LLM, SamplingParams  # here: the import takes half a minute, and other engines do not need it
    from vllm.inputs import TokensPrompt

    chat = load_chat(spec)
    stops = stop_ids(chat, generation_defaults(spec["model"], spec["revision"]))
    # pickled weights are loaded only if the config says so; the model's own generation_config (repetition penalty,
    # top-k) would change what the config's sampling means
    settings = {"load_format": "safetensors", "generation_config": "vllm"} | spec["vllm"]
    llm = LLM(**pretrained(spec), tokenizer_revision=spec["revision"], **settings)

    def parameters(row: dict, sampling: dict) -> SamplingParams:
        return SamplingParams(
            max_tokens=sampling["max_new_tokens"],
            temperature=sampling["temperature"],
            top_p=sampling["top_p"],
            seed=row_seed(sampling["seed"], [row]) if sampling["temperature"] > 0 else None,
            stop_token_ids=stops,
            logprobs=sampling.get("first_tokens"),
            detokenize=False,
            **sampling["options"],
        )

    def generate(rows: list[dict], sampling: dict) -> list[dict]:
        room = prompt_room(spec["model"], sampling, llm.model_config.max_model_len)
        prompts = [prompt_of(chat, row) for row in rows]
        # if one prompt is too long, vLLM refuses the complete list
        results = [refused(prompt, room) for prompt in prompts]
        fitting = [i for i, result in enumerate(results) if result is None]
        tokens = [TokensPrompt(prompt_token_ids=prompts[i]) for i in fitting]
        outputs = llm.generate(tokens, [parameters(rows[i], sampling) for i in fitting])
        for i, output in zip(fitting, outputs, strict=True):
            generated = output.outputs[0]
            first = {token: p.logprob for token, p in generated.logprobs[0].items()} if generated.logprobs else None
            n_prompt_tokens = {"n_prompt_tokens": len(prompts[i])}
            results[i] = decode(chat, list(generated.token_ids), stops) | decode_logprobs(chat, first) | n_prompt_tokens
        return results

    return generate


def generation_defaults(model: str, revision: str | None) -> GenerationConfig:
    """The model's generation_config; an empty one if it has none."""
    try:
        return GenerationConfig.from_pretrained(model, revision=revision)
    except OSError:
        return GenerationConfig()
