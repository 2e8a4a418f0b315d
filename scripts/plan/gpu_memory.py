"""Which models of a study do not fit into the memory of its GPUs: weights in use, and states in fine-tuning."""

from scripts.configuration.config_engines import is_endpoint
from scripts.plan.study_sizes import Study

MEMORY = {"h200": 141, "h100": 80, "a100": 80, "l40s": 48, "rtx4090": 24, "l4": 24}  # GB
USABLE = 0.9  # of the memory


LOADED = {
    "teachers": "teacher",
    "reward_models": "reward model",
    "reference_models": "reference model",
    "judges": "judge",
}


def models_that_do_not_fit(study: Study) -> list[str]:
    """One line for each model that needs more memory than its GPUs have."""
    lines = [
        model_that_does_not_fit(study, section, name, entry.get("reward", entry))
        for section in LOADED
        for name, entry in study.config[section].items()
    ]
    return [line for line in lines + [base_that_does_not_fit(study, name) for name in study.config["bases"]] if line]


def model_that_does_not_fit(study: Study, section: str, name: str, entry: dict) -> str | None:
    """The line of a model that is only used, not trained. entry: that of the model, or of a judge's reward model."""
    if "model" not in entry or is_endpoint(entry) or not entry["gpus"]:
        return None
    quantized = "fp8" in entry["model"].lower() or "quantization" in entry.get(entry.get("engine"), {})
    needed = (1 if quantized else 2) * study.parameters(section, name) / 1e9
    usable = USABLE * MEMORY[study.gpu] * entry["gpus"]
    if needed <= usable:
        return None
    kind = LOADED[section]
    return f"{kind} {name} needs {needed:.0f} GB; {entry['gpus']} x {study.gpu} can hold {usable:.0f} GB"


def base_that_does_not_fit(study: Study, name: str) -> str | None:
    entry = study.config["bases"][name]
    if not entry["gpus"]:
        return None
    needed = training_bytes(entry) * study.parameters("bases", name) / 1e9
    usable = USABLE * MEMORY[study.gpu]
    if needed <= usable:
        return None
    return (
        f"fine-tuning {name} needs {needed:.0f} GB per process; 1 x {study.gpu} can hold {usable:.0f} GB: "
        "see `fsdp` and `lora`"
    )


def training_bytes(base: dict) -> float:
    """Bytes per parameter in each process: weights, gradients and two moments in float32.

    Processes that do not share them (FSDP) also buffer the gradients; LoRA needs only the weights, in 16 bits.
    """
    if base.get("lora") is not None:
        return 2
    if base["fsdp"]:
        return 16 / base["processes"]
    return 20 if base["processes"] > 1 else 16
