"""Models of many architectures, small and random: a row has the same numbers in a batch, alone and by a plain loop.

docs/models.md lists what is found here: `in batches`, `one at a time`, or `refused`.
"""

import re
from functools import partial

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForSequenceClassification

from conftest import ROOT
from scripts.checks.check_heads import wrong_head
from scripts.engines import engine_transformers
from scripts.likelihoods import token_scores
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.models import reward_scorer
from scripts.models.chat import Chat

TEMPLATE = ROOT / "config/templates/plain.jinja"
CONTEXT = 128
# weights large enough for attention and caps to matter
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8}
SMALL |= {"num_key_value_heads": 2, "max_position_embeddings": CONTEXT, "initializer_range": 0.2}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2}
EXPERTS |= {"moe_intermediate_size": 24, "n_group": 1, "topk_group": 1, "n_shared_experts": 1}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
LATENT |= {"num_key_value_heads": 4, "head_dim": 8}
MAMBA = {"mamba_chunk_size": 8, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_ssm": 64, "mamba_d_state": 8}
MAMBA |= {"mamba_expand": 2, "mamba_n_groups": 1}
LONG = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 24}
LONG |= {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
# the name of a row of the table: model_type, and in brackets a variant
CAUSAL = {
    "apertus": {},
    "arcee": {},
    "bamba": MAMBA | {"attn_layer_indices": [1]},
    "bert": {},
    "bloom": {},
    "cohere": {},
    "cohere2": {"sliding_window": 8},
    "deepseek_v3": EXPERTS | LATENT | {"first_k_dense_replace": 1},
    "electra": {},
    "ernie4_5": {},
    "exaone4": {},
    "falcon": {"head_dim": "unknown"},
    "falcon_h1": MAMBA | {"lm_head_multiplier": 0.3},
    "falcon_mamba": {},
    "gemma": {},
    "gemma2": {"sliding_window": 8, "attn_logit_softcapping": 1.0, "final_logit_softcapping": 2.0},
    "gemma3_text": {"sliding_window": 8, "final_logit_softcapping": 2.0},
    "glm4": {},
    "gpt2": {},
    "gpt_bigcode": {},
    "gpt_neox": {},
    "gpt_oss": EXPERTS | {"sliding_window": 8},
    "gptj": {"rotary_dim": 8},
    "granite": {"logits_scaling": 3.0},
    "granitemoehybrid": EXPERTS | MAMBA | {"layer_types": ["mamba", "attention"], "logits_scaling": 3.0},
    "hyperclovax": {"logits_scaling": 0.5},
    "jamba": EXPERTS | {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "lfm2": {},
    "llama": {},
    "llama (dynamic NTK)": {
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
        "max_position_embeddings": 64,
    },
    "llama (LongRoPE)": {"rope_parameters": LONG},
    "llama4_text": EXPERTS | {"intermediate_size_mlp": 48},
    "mamba": {},
    "mamba2": {"num_heads": 8, "head_dim": 8, "chunk_size": 8},
    "minimax": EXPERTS | {"block_size": 8},
    "ministral3": {},
    "mistral": {"sliding_window": 8},
    "mixtral": EXPERTS,
    "modernbert-decoder": {},
    "mpt": {},
    "nemotron": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 8},
    "olmoe": EXPERTS,
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 16},
    "phi": {},
    "phi3": {},
    "phi3 (LongRoPE)": {"rope_parameters": LONG, "original_max_position_embeddings": 24},
    "phimoe": EXPERTS,
    "qwen2": {},
    "qwen2_moe": EXPERTS,
    "qwen3": {},
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"]},
    "qwen3_moe": EXPERTS,
    "qwen3_next": EXPERTS | {"layer_types": ["linear_attention", "full_attention"]},
    "recurrent_gemma": {"num_hidden_layers": 3, "attention_window_size": 8, "logits_soft_cap": 2.0},
    "rwkv": {"attention_hidden_size": 32},
    "seed_oss": {},
    "smollm3": {},
    "stablelm": {},
    "starcoder2": {},
    "xglm": {"ffn_dim": 48},
    "xlnet": {"max_position_embeddings": "unknown", "d_head": 8},
}
REWARD = {
    "bert": {},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False},
    "electra": {},
    "gemma2": {},
    "gpt2": {},
    "gpt_neox": {},
    "llama": {},
    "mistral": {"sliding_window": 8},
    "modernbert": {"local_attention": 8},
    "qwen2": {},
    "qwen3": {},
    "roberta": {"max_position_embeddings": CONTEXT + 4},
}
ROWS = [("Add 3 and 4", "7"), ("Reverse", "b" * 40), ("Repeat " + "fok" * 5, "fok fok")]
ROWS = [{"instruction": i, "response": r, "finish_reason": "stop"} for i, r in ROWS]
SAMPLING = {"max_new_tokens": 8, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 10_000, "options": {}}


def save(name: str, settings: dict, auto_class, folder, **more):
    """A folder with a model of the architecture, and the model itself with `eager` attention."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(TEMPLATE.read_text(encoding="utf-8"))
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model_type = name.partition(" ")[0]
    kind = CONFIG_MAPPING[model_type]
    values = SMALL | settings | tokens | more | {"vocab_size": len(tokenizer)}
    config = kind(**{key: value for key, value in values.items() if value != "unknown"})
    auto_class.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = auto_class.from_pretrained(folder, attn_implementation="eager").eval()
    return Chat(tokenizer), model


def spec(folder) -> dict:
    names = {"model": str(folder), "revision": None, "chat_template": None, "trust_remote_code": False}
    limits = {"batch_tokens": 10_000, "max_length": 4096, "per_token": True, "prompt": "chat"}
    return names | limits | {"output": "logits", "attn_implementation": None, "sampling": SAMPLING}


def in_words(printed: str) -> str:
    return "one at a time" if re.search("one (row|prompt) at a time", printed) else "in batches"


@torch.no_grad()
def likelihoods(folder, chat, model, capsys) -> str:
    """How the product scores rows; the scores equal those of each row alone, by one plain forward pass."""
    in_check = wrong_head(model.config)
    try:
        score = token_scores.load_scorer(spec(folder))
    except SystemExit as refused:
        assert [str(refused)] == in_check or "is not a causal language model" in str(refused)
        return "refused"
    assert not in_check
    for row, got in zip(ROWS, score(ROWS), strict=True):
        prompt, text, end = chat.example(**row)
        if len(prompt + text + end) > model.config.max_position_embeddings:
            assert got["unusable"] == "over_long"
            continue
        ids = torch.tensor([prompt + text + end])
        logp = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
        own = logp.gather(1, ids[0, len(prompt) :, None])
        assert got["token_nll"] == pytest.approx((-own[:, 0]).tolist(), rel=1e-3, abs=1e-3)
        ranks = ((logp > own).sum(1) + 1).clamp(max=100).tolist()
        assert sum(abs(a - b) for a, b in zip(got["token_rank"], ranks, strict=True)) <= 1
        alone = score([row])[0]
        for column in ("nll", "end_nll", "direct_nll", "token_nll", "direct_token_nll"):
            assert alone[column] == pytest.approx(got[column], rel=1e-4, abs=1e-4)
    return in_words(capsys.readouterr().out)


@torch.no_grad()
def answers(folder, chat, model, capsys, monkeypatch) -> str:
    """How the product answers rows; the ids equal those of each row alone, and of a plain loop without a cache."""
    capsys.readouterr()
    stops = engine_transformers.stop_ids(chat, model.generation_config)
    # bytes that are no text would hide which ids they are
    monkeypatch.setattr(engine_transformers, "decode", lambda chat, ids, stops: {"ids": until(ids, stops)})
    try:
        generate = partial(engine_transformers.load(spec(folder)), sampling=spec(folder)["sampling"])
    except SystemExit as refused:
        assert "is not a causal language model" in str(refused)
        return "refused"
    got = [result.get("ids") for result in generate(ROWS)]
    for row, ids in zip(ROWS, got, strict=True):
        expected = list(prompt := chat.prompt(row["instruction"]))
        while len(expected) < len(prompt) + SAMPLING["max_new_tokens"] and expected[-1] not in stops:
            logits = model(input_ids=torch.tensor([expected]), use_cache=False).logits[0, -1]
            expected.append(logits.argmax().item())
        assert (ids, ids) == (until(expected[len(prompt) :], stops), generate([row])[0]["ids"])
    return in_words(capsys.readouterr().out)


def until(ids: list[int], stops: list[int]) -> list[int]:
    return ids[: next((i for i, token in enumerate(ids) if token in stops), len(ids))]


def listed(columns: int) -> dict[str, list[str]]:
    """Architecture to outcomes, from the table of docs/models.md with this number of outcomes."""
    outcome = "in batches|one at a time|refused"
    row = re.compile(rf"^\|{columns * f' ({outcome}) [|]'} (`.*) \|$", re.M)
    page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    return {name: outcomes for *outcomes, names in row.findall(page) for name in re.findall("`([^`]+)`", names)}


def test_the_page_lists_the_architectures_that_are_tried_here():
    assert (sorted(listed(2)), sorted(listed(1))) == (sorted(CAUSAL), sorted(REWARD))


@pytest.mark.parametrize("name", CAUSAL)
def test_likelihoods_and_answers_do_not_depend_on_the_batch(name, tmp_path, capsys, monkeypatch):
    chat, model = save(name, CAUSAL[name], AutoModelForCausalLM, tmp_path)
    found = [likelihoods(tmp_path, chat, model, capsys), answers(tmp_path, chat, model, capsys, monkeypatch)]
    assert found == listed(2)[name]


@torch.no_grad()
@pytest.mark.parametrize("name", REWARD)
def test_rewards_do_not_depend_on_the_batch(name, tmp_path, capsys):
    chat, model = save(name, REWARD[name], AutoModelForSequenceClassification, tmp_path, num_labels=1)
    score = reward_scorer.load_scorer(spec(tmp_path))
    ids = [chat.conversation(row["instruction"], row["response"]) for row in ROWS]
    alone = [model(input_ids=torch.tensor([row])).logits.item() for row in ids]
    assert [row["reward"] for row in score(ROWS)] == pytest.approx(alone, rel=1e-4, abs=1e-4)
    assert max(alone) - min(alone) > 1e-2
    assert [in_words(capsys.readouterr().out)] == listed(1)[name]
