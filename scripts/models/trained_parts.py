"""What is trained of a model: the parts that read text, or adapters on them."""

import re

from peft import LoraConfig

NON_TEXT = re.compile(r"(.*\.)?(vision|visual|audio|multi_modal)\w*\..*")  # parts of models such as Gemma 3


def adapters(lora: dict, model) -> LoraConfig:
    """Adapters on every linear layer except the head and the parts that do not read text."""
    has_non_text_parts = any(NON_TEXT.match(name) for name, _ in model.named_modules())
    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules="all-linear",
        exclude_modules=NON_TEXT.pattern if has_non_text_parts else None,
        task_type="CAUSAL_LM",
    )


def freeze_non_text_parts(model) -> None:
    """Do not train the parts that read images or sound: text gives them no gradient."""
    for name, weight in model.named_parameters():
        if NON_TEXT.match(name):
            weight.requires_grad_(False)
