"""Whether transformers can load a model, from its config: a class for it, and packages for its weights."""

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.quantizers import AutoHfQuantizer
from transformers.utils import is_kernels_available

CLASSES = {
    "AutoModelForCausalLM": (MODEL_FOR_CAUSAL_LM_MAPPING, "a causal language model"),
    "AutoModelForSequenceClassification": (MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, "a sequence classifier"),
}


def unloadable(config, auto_class: str) -> list[str]:
    """Why transformers cannot load a model as one of CLASSES, one line a problem."""
    mapping, kind = CLASSES[auto_class]
    encoder_decoder = kind == "a causal language model" and getattr(config, "is_encoder_decoder", False)
    known = auto_class in (getattr(config, "auto_map", None) or {}) or type(config) in mapping
    problems = []
    if encoder_decoder or not known:
        problems.append(f"{config.model_type} is not {kind} of transformers, which this role needs")
    if (quantization := quantization_of(config)) and (lacking := lacks(quantization)):
        problems.append(f"transformers cannot load weights quantized with {quantization['quant_method']}: {lacking}")
    return problems


def quantization_of(config) -> dict | None:
    """`quantization_config` of a model's config.json, with a `quant_method`; None if it is not quantized."""
    text = config.get_text_config()
    found = getattr(config, "quantization_config", None) or getattr(text, "quantization_config", None)
    return {"quant_method": "bitsandbytes"} | found if found else None  # old ones of bitsandbytes do not say so


def lacks(quantization: dict) -> str | None:
    """What transformers needs to load such weights and does not have; None if it can load them.

    Whether there is a GPU does not count: the model may be loaded on another machine.
    """
    try:
        quantizer = AutoHfQuantizer.from_config(quantization, pre_quantized=True)
        quantizer.validate_environment(device_map=None)
    except RuntimeError:
        return None
    except Exception as error:
        return " ".join(str(error).split())[:150]
    if getattr(quantizer.quantization_config, "dequantize", True) or is_kernels_available():
        return None
    return "on this GPU it requires the package kernels"
