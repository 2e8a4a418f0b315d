"""`check` reports what an engine cannot load, and rules that only bases need refuse no teacher and no reward model."""

import json
import shutil

import pytest
from transformers import CONFIG_MAPPING

from scripts.checks.check_heads import wrong_head
from scripts.checks.check_models import check_safely
from scripts.likelihoods import chunked_head
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models import tokenizers
from scripts.models.tokenizers import load_tokenizer
from test_check_models import PLAIN, base, check

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
ROLES = {
    "base": ("bases", {"chat_template": PLAIN}),
    "reference": ("reference_models", {}),
    "teacher": ("teachers", {"engine": "transformers"}),
    "vllm": ("teachers", {"engine": "vllm"}),
    "judge": ("judges", {"engine": "transformers"}),
    "reward": ("reward_models", {"output": "logits"}),
}
NOT_CAUSAL = "is not a causal language model of transformers, which this role needs"
QUANTIZED = "its weights are quantized ({}) and cannot be trained: use the model that they were made from"
LACKS = "transformers cannot load weights quantized with {}: "


def problems(role: str, tiny, tmp_path, config: dict) -> list[str]:
    """What `check` says about a folder with the tokenizer and weights of `tiny` and another config.json."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    byte_tokenizer("{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}").save_pretrained(
        folder
    )
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 261, "num_labels": 1}), encoding="utf-8")
    section, more = ROLES[role]
    return check_safely(section, base(folder, None) | more)[1]


def config_of(model_type: str, **more) -> dict:
    return CONFIG_MAPPING[model_type](**more).to_dict()


@pytest.mark.parametrize(
    "role, model_type, expected",
    [
        ("base", "mistral3", f"mistral3 {NOT_CAUSAL}"),
        ("base", "t5", f"t5 {NOT_CAUSAL}"),
        ("base", "bart", f"bart {NOT_CAUSAL}"),
        (
            "base",
            "bert",
            "unsupported architecture BertLMHeadModel: its logits cannot be reproduced: use another model",
        ),
        ("reference", "t5", f"t5 {NOT_CAUSAL}"),
        ("teacher", "mistral3", f"mistral3 {NOT_CAUSAL}"),
        ("judge", "t5", f"t5 {NOT_CAUSAL}"),
        ("vllm", "mistral3", None),
        ("reward", "rwkv", "rwkv is not a sequence classifier of transformers, which this role needs"),
        ("reward", "deberta-v2", None),
        ("base", "llama4_text", None),
        ("base", "falcon_h1", None),
        ("base", "opt", None),
        ("base", "gemma3", None),
    ],
)
def test_an_architecture_that_a_role_cannot_use_is_a_line_in_check(role, model_type, expected, tiny, tmp_path):
    assert problems(role, tiny, tmp_path, config_of(model_type)) == ([expected] if expected else [])


SCALED = {
    "cohere": {"logit_scale": 0.25},
    "falcon_h1": {"lm_head_multiplier": 0.3},
    "granite": {"logits_scaling": 3.0},
    "hyperclovax": {"logits_scaling": 0.3},
    "inkling_text": {"logits_mup_width_multiplier": 3.0},
    "gemma2": {"final_logit_softcapping": 30.0},
    "recurrent_gemma": {"logits_soft_cap": 30.0},
    "xlstm": {"output_logit_soft_cap": 30.0},
}


@pytest.mark.parametrize("model_type", SCALED)
def test_the_head_of_an_architecture_that_scales_its_logits_is_reproduced_and_a_wrong_one_refused(
    model_type, monkeypatch
):
    config = CONFIG_MAPPING[model_type](**SCALED[model_type])
    before = config.to_dict()
    assert wrong_head(config) == []
    for names in ("FACTORS", "DIVISORS", "CAPS"):
        monkeypatch.setattr(chunked_head, names, ())
    assert wrong_head(config)[0].endswith("its logits cannot be reproduced: use another model")
    assert config.to_dict() == before


@pytest.mark.parametrize(
    "role, method, expected",
    [
        *(("base", method, QUANTIZED.format(method)) for method in ("gptq", "awq", "bitsandbytes", "fp8", "mxfp4")),
        *(
            ("teacher", method, LACKS.format(method))
            for method in ("gptq", "awq", "bitsandbytes", "compressed-tensors")
        ),
        *(("reward", method, LACKS.format(method)) for method in ("gptq", "awq", "bitsandbytes", "compressed-tensors")),
        ("judge", "awq", LACKS.format("awq")),
        ("reference", "awq", LACKS.format("awq")),
        ("teacher", "exl2", LACKS.format("exl2") + "Unknown quantization type"),
        ("teacher", "mxfp4", None),
        ("teacher", "fp8", None),
        *(("vllm", method, None) for method in ("gptq", "awq", "fp8", "compressed-tensors", "mxfp4")),
        ("vllm", "bitsandbytes", "vLLM cannot load weights quantized with bitsandbytes, only with auto-round, awq"),
        ("vllm", "exl2", "vLLM cannot load weights quantized with exl2, only with auto-round, awq"),
    ],
)
def test_quantized_weights_that_an_engine_cannot_load_are_a_line_in_check(role, method, expected, tiny, tmp_path):
    quantization = {"quant_method": method, "bits": 4, "load_in_4bit": method == "bitsandbytes"}
    config = config_of("llama", **SMALL) | {"quantization_config": quantization}
    found = problems(role, tiny, tmp_path, config)
    assert len(found) == (expected is not None) and (not expected or found[0].startswith(expected)), found


def test_foreign_files_that_raise_anything_are_a_line_each_and_hide_no_other_problem(tiny, tmp_path):
    models = {"missing": base(tmp_path / "nothing"), "good": base(tiny)}
    for name, text in {
        "zero": "{{ 1 // 0 }}",
        "sum": "{{ 1 + 'a' }}",
        "deep": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    }.items():
        (tmp_path / f"{name}.jinja").write_text(text, encoding="utf-8")
        models[name] = base(tiny, str(tmp_path / f"{name}.jinja"))
    for name, file in {"empty": "tokenizer.json", "list": "config.json", "text": "tokenizer_config.json"}.items():
        folder = shutil.copytree(tiny, tmp_path / name)
        (folder / file).write_text({"empty": "{}", "list": "[1]", "text": "no JSON"}[name], encoding="utf-8")
        models[name] = base(folder)
    output, facts = check(tmp_path, {"bases": models})
    lines = [line for line in output.splitlines() if line.startswith("bases.")]
    assert sorted(line.split(":")[0].removeprefix("bases.") for line in lines) == sorted({*models} - {"good"}), output
    assert facts is None and "Traceback" not in output
    assert sum("the chat template cannot be used: " in line for line in lines) == 3


BASES_ONLY = {
    # what a template writes after an answer, before it, and around a thought
    "nothing ends an answer": "{{ bos_token }}{% for m in messages %}<|user|>{{ m.content }}{% endfor %}",
    "an empty thought before an answer": "{{ bos_token }}{% for m in messages %}{{ '<think></think>' if m.role == "
    "'assistant' }}{{ m.content }}{{ eos_token }}{% endfor %}",
    "a prompt that opens a thought": "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    "{{ '<|assistant|><think>' if add_generation_prompt }}",
}


@pytest.mark.parametrize("template", BASES_ONLY.values(), ids=BASES_ONLY)
@pytest.mark.parametrize("role", ["base", "teacher", "vllm", "judge", "reward"])
def test_rules_that_only_bases_need_refuse_no_other_model(role, template, tiny, tiny_reward_model, tmp_path):
    (tmp_path / "own.jinja").write_text(template, encoding="utf-8")
    folder = shutil.copytree(tiny_reward_model if role == "reward" else tiny, tmp_path / "model")
    tokenizer = load_tokenizer(str(folder), chat_template=str(tmp_path / "own.jinja"))
    tokenizer.save_pretrained(folder)
    section, more = ROLES[role]
    found = check_safely(section, base(folder, None) | more | {"chat_template": None})[1]
    assert [problem[:17] for problem in found] == (["the chat template"] if role == "base" else [])


def test_of_several_templates_in_a_tokenizer_the_default_is_used(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "model")
    tokenizer = load_tokenizer(str(folder), chat_template=PLAIN)
    tokenizer.chat_template = {"default": tokenizer.chat_template, "tool_use": "{{ 1 // 0 }}"}
    tokenizer.save_pretrained(folder)
    assert check_safely("bases", base(folder, None))[1] == []


def test_a_backend_without_chat_templates_is_not_used(tiny, monkeypatch):
    """With mistral-common installed, AutoTokenizer prefers its class for folders with a tekken.json."""

    class MistralCommonBackend:
        chat_template = None

    class Auto:
        def from_pretrained(self, model, mistral_format=True, **names):
            return MistralCommonBackend() if mistral_format else real.from_pretrained(model, **names)

    real = tokenizers.AutoTokenizer
    monkeypatch.setattr(tokenizers, "AutoTokenizer", Auto())
    assert load_tokenizer(str(tiny), chat_template=PLAIN).chat_template
