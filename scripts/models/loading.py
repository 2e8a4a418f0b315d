"""Load models from a folder or the hub, from safetensors only, onto the GPU if there is one."""

from collections.abc import Callable

import torch
import transformers
from transformers import AutoConfig

from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

# ArmoRM's own code needs an older transformers (envs/armorm.yaml), which has only the old name
DTYPE = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def pretrained(entry: dict) -> dict:
    """model, revision and trust_remote_code of a config entry, for load_model, load_config and load_tokenizer."""
    return {key: entry[key] for key in ("model", "revision", "trust_remote_code") if key in entry}


def load_chat(entry: dict) -> Chat:
    """The tokenizer of a config entry with its chat template, or the model's own, and the entry's template settings."""
    tokenizer = load_tokenizer(**pretrained(entry), chat_template=entry["chat_template"])
    return Chat(tokenizer, entry.get("chat_template_kwargs"))


def load_config(model: str, revision: str | None = None, trust_remote_code: bool = False):
    return AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=trust_remote_code)


def load_model(auto_class, model: str, revision: str | None = None, **options):
    """A model ready for inference: bfloat16 on a GPU, float32 on a CPU, where half precision is slow and rounds."""
    dtype = torch.bfloat16 if device() == "cuda" else torch.float32
    return load_complete_model(auto_class, model, dtype, revision=revision, **options).to(device()).eval()


def load_complete_model(auto_class, model: str, dtype: torch.dtype, **options):
    """A model with all of its weights. Exits naming weights that its files lack: they would be drawn at random.

    Models with capped attention scores (Gemma 2) need the attention implementation `eager`: sdpa ignores the cap.
    """
    config = load_config(**pretrained({"model": model, **options})).get_text_config()
    if getattr(config, "attn_logit_softcapping", None):
        options = {"attn_implementation": "eager"} | options
    options |= {DTYPE: dtype, "use_safetensors": True, "output_loading_info": True}
    loaded, report = auto_class.from_pretrained(model, **options)
    if missing := sorted(report["missing_keys"]):
        names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        advice = "use a model that was saved with them"
        raise SystemExit(f"{model}: its files lack weights of {type(loaded).__name__} ({names}): {advice}")
    return loaded


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that memory ran out; on a CPU it is a RuntimeError without a type of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def halve_if_out_of_memory(compute: Callable[[list], list], rows: list) -> list:
    """compute(rows), one result per row; if memory runs out, each half separately. Exits if one row is too long."""
    try:
        return compute(rows)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    if len(rows) == 1:
        raise SystemExit("a single row does not fit into memory: use a larger GPU, or lower the maximum length")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(rows) // 2
    print(f"out of memory in a batch of {len(rows)}: retrying with batches of {half}", flush=True)
    return halve_if_out_of_memory(compute, rows[:half]) + halve_if_out_of_memory(compute, rows[half:])


def context_length(config) -> int:
    """The longest row a model can read, in tokens, from its config; 10**9 if the config does not say."""
    return getattr(config.get_text_config(), "max_position_embeddings", None) or 10**9
