"""A model is loaded with all of its weights and computes as in its training; otherwise it is refused."""

import shutil

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
)

from scripts.engines.engine_transformers import within_memory
from scripts.models.loading import load_model
from scripts.models.trained_parts import adapters, freeze_non_text_parts

SMALL = {"vocab_size": 270, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2}


def test_a_reward_model_without_head_weights_is_refused_since_its_rewards_would_be_random(tiny_reward_model, tmp_path):
    folder = shutil.copytree(tiny_reward_model, tmp_path / "other-head")
    weights = load_file(folder / "model.safetensors")
    weights["v_head.weight"] = weights.pop("score.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SystemExit, match=r"other-head: its files lack weights of .* \(score.weight\)"):
        load_model(AutoModelForSequenceClassification, str(folder))
    assert load_model(AutoModelForSequenceClassification, str(tiny_reward_model)).score.weight.isfinite().all()


def test_capped_attention_scores_are_computed_with_the_cap(tmp_path):
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(**SMALL, attn_logit_softcapping=0.01, query_pre_attn_scalar=1, initializer_range=0.3)
    ).eval()
    model.save_pretrained(tmp_path)
    ids, logits = torch.arange(20)[None], {}
    for implementation in ("eager", "sdpa"):
        model.set_attn_implementation(implementation)
        logits[implementation] = model(input_ids=ids).logits
    assert not torch.allclose(logits["eager"], logits["sdpa"], atol=1e-3)  # the cap matters, and sdpa ignores it
    loaded = load_model(AutoModelForCausalLM, str(tmp_path))
    assert torch.allclose(loaded(input_ids=ids).logits, logits["eager"], atol=1e-6)


def test_only_the_text_part_of_a_vision_model_is_trained():
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 28, "patch_size": 14}
    model = Gemma3ForConditionalGeneration(Gemma3Config(text_config=SMALL, vision_config=vision, mm_tokens_per_image=4))
    freeze_non_text_parts(model)
    model(input_ids=torch.arange(8)[None], labels=torch.arange(8)[None]).loss.backward()
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained and not [name for name in trained if "vision" in name or "multi_modal" in name]
    adapted = get_peft_model(model, adapters({"rank": 2, "alpha": 4, "dropout": 0.0}, model))
    names = [name for name, _ in adapted.named_parameters() if "lora" in name]
    assert names and not [name for name in names if "vision" in name or "multi_modal" in name]


def out_of_memory_above_two(prompts):
    if len(prompts) > 2:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return [(prompt, None) for prompt in prompts]


@pytest.mark.fault(19)
def test_out_of_memory_halves_greedy_batches_and_for_samples_names_the_setting_to_lower():
    prompts = [[i] for i in range(7)]
    assert within_memory(out_of_memory_above_two, prompts, {"temperature": 0}) == [(prompt, None) for prompt in prompts]
    with pytest.raises(SystemExit, match=r"7 rows do not fit .*: lower sampling.batch_tokens, which is 99"):
        within_memory(out_of_memory_above_two, prompts, {"temperature": 1, "batch_tokens": 99})
