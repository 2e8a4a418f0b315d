"""The engine `vllm`: offline batches on as many GPUs as the config's tensor_parallel_size says."""

from transformers import GenerationConfig

from scripts.engines.decoding import answered, likeliest, stop_ids
from scripts.engines.results import messages_of, row_seed, unanswered
from scripts.models.chat import Chat, load_tokenizer
from scripts.models.loading import pretrained

VERSION = 1
BLOCK = 2048  # large, since the engine idles while the last answers of a block come in


def load(spec: dict):
    """Start the engine and return its function from rows to answers (see generation.py).

    spec: model, revision, chat_template, trust_remote_code, sampling (max_new_tokens, temperature, top_p, seed,
    options) and vllm (tensor_parallel_size, max_model_len and any other argument of vllm.LLM). `options` are further
    SamplingParams. A sampled answer has its own seed, so that it does not depend on what it is batched with.
    """
    from vllm import LLM, SamplingParams  # here: it takes half a minute, and other engines do without it
    from vllm.inputs import TokensPrompt

    chat = Chat(load_tokenizer(**pretrained(spec), chat_template=spec["chat_template"]))
    stops = stop_ids(chat, generation_defaults(spec["model"], spec["revision"]))
    # pickled weights are not loaded unless the config says so; a model's own generation_config (repetition penalty,
    # top-k) would change what the config's sampling means
    settings = {"load_format": "safetensors", "generation_config": "vllm"} | spec["vllm"]
    llm = LLM(**pretrained(spec), tokenizer_revision=spec["revision"], **settings)
    sampling = spec["sampling"]
    room = llm.model_config.max_model_len - sampling["max_new_tokens"]
    if room < 1:
        raise SystemExit(f"{spec['model']}: max_new_tokens {sampling['max_new_tokens']} fills its context: lower it")

    def parameters(row: dict) -> SamplingParams:
        return SamplingParams(
            max_tokens=sampling["max_new_tokens"],
            temperature=sampling["temperature"],
            top_p=sampling["top_p"],
            seed=row_seed(sampling["seed"], [row]) if sampling["temperature"] > 0 else None,
            stop_token_ids=stops,
            logprobs=sampling.get("logprobs"),
            detokenize=False,
            **sampling["options"],
        )

    def generate(rows: list[dict]) -> list[dict]:
        prompts = [chat.ask(messages_of(row)) for row in rows]
        # one prompt too long for the engine would make it refuse all of them
        answers = [None if len(p) <= room else unanswered("prompt_over_long") for p in prompts]
        asked = [i for i, answer in enumerate(answers) if answer is None]
        tokens = [TokensPrompt(prompt_token_ids=prompts[i]) for i in asked]
        outputs = llm.generate(tokens, [parameters(rows[i]) for i in asked])
        for i, output in zip(asked, outputs, strict=True):
            generated = output.outputs[0]
            first = {token: p.logprob for token, p in generated.logprobs[0].items()} if generated.logprobs else None
            counted = {"n_prompt_tokens": len(prompts[i])}
            answers[i] = answered(chat, list(generated.token_ids), stops) | likeliest(chat, first) | counted
        return answers

    return generate


def generation_defaults(model: str, revision: str | None) -> GenerationConfig:
    """The model's generation_config; an empty one where it has none."""
    try:
        return GenerationConfig.from_pretrained(model, revision=revision)
    except OSError:
        return GenerationConfig()
