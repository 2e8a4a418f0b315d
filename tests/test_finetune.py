"""Fine-tuning: only response tokens count in the loss, the seed determines the weights, a failed run has no model."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from conftest import ROOT
from scripts.finetuning import finetune, sft_settings
from scripts.finetuning.sft_examples import encode_examples
from scripts.models.chat import Chat
from scripts.models.folder import failure, sha256, verify
from scripts.models.tokenizers import load_tokenizer

TEMPLATE = str(ROOT / "config/templates/plain.jinja")
MODEL = {"revision": None, "chat_template": TEMPLATE, "trust_remote_code": False, "fsdp": False}
HYPER = {
    "epochs": 1,
    "learning_rate": 1e-3,
    "scheduler": "cosine",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "batch_size": 8,
    "micro_batch_size": 4,
    "max_length": 128,
    "gradient_checkpointing": False,
    "seed": 0,
}


def run(tiny, folder, monkeypatch, responses, lora=None, **hyper):
    """Run the script in this process on the given responses; returns the path of the checkpoint's manifest."""
    folder.mkdir()
    ids = [str(i) for i in range(len(responses))]
    pl.DataFrame({"id": ids, "instruction": [f"Say {i}" for i in ids]}).write_parquet(folder / "instructions.parquet")
    reasons = [None if response else "empty" for response in responses]
    rows = pl.DataFrame({"id": ids, "response": responses, "finish_reason": "stop", "reason": reasons})
    rows.write_parquet(folder / "responses.parquet")
    manifest = folder / "checkpoint/manifest.json"
    model = MODEL | {"model": str(tiny), "lora": lora}
    arguments = {
        "base": "b",
        "teacher": "t",
        "model": json.dumps(model),
        "hyperparameters": json.dumps(HYPER | hyper),
        "instructions": folder / "instructions.parquet",
        "responses": folder / "responses.parquet",
        "scratch": folder / "scratch",
        "manifest": manifest,
    }
    monkeypatch.setattr("sys.argv", ["finetune.py", *(x for k, v in arguments.items() for x in (f"--{k}", str(v)))])
    finetune.main()
    return manifest


def test_the_first_loss_is_the_mean_over_response_tokens_of_a_hand_masked_forward(tiny, tmp_path, monkeypatch):
    responses = ["seven", "a longer response than the other", "x", "y" * 30, "no", "yes", "maybe so", "z"]
    manifest = run(tiny, tmp_path / "run", monkeypatch, responses)
    chat = Chat(load_tokenizer(str(tiny), chat_template=TEMPLATE))
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    total, count = 0.0, 0
    for i, response in enumerate(responses):
        prompt, text, end = chat.example(f"Say {i}", response, "stop")
        with torch.no_grad():
            logp = model(torch.tensor([prompt + text + end])).logits[0].log_softmax(-1)
        for at, token in enumerate(text + end, len(prompt) - 1):
            total, count = total - logp[at, token].item(), count + 1
    assert json.loads(manifest.read_text())["first_loss"] == pytest.approx(total / count, rel=1e-4)


def test_one_seed_gives_one_set_of_weights_and_another_seed_another(tiny, tmp_path, monkeypatch):
    responses = [f"response {i}" for i in range(24)]
    weights = [
        sha256(run(tiny, tmp_path / name, monkeypatch, responses, seed=seed).with_name("model.safetensors"))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_the_checkpoint_is_a_model_folder_with_the_chat_template_and_its_end_of_turn(tiny, tmp_path, monkeypatch):
    manifest = run(tiny, tmp_path / "run", monkeypatch, ["one", "two", "", None, "x" * 500, "six", "seven", "eight"])
    folder = manifest.parent
    verify(folder)
    assert AutoTokenizer.from_pretrained(folder).chat_template == (ROOT / TEMPLATE).read_text()
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.generation_config.eos_token_id == AutoTokenizer.from_pretrained(tiny).eos_token_id
    facts = json.loads(manifest.read_text())
    assert (facts["n_examples"], facts["n_truncated"], facts["n_set_aside"], facts["steps"]) == (6, 1, 2, 1)
    assert not [path for path in (folder.parent / "scratch").iterdir() if path.is_dir()]


def test_a_trained_model_gets_its_manifest_back_without_training(tiny, tmp_path, monkeypatch):
    manifest = run(tiny, tmp_path / "run", monkeypatch, ["one", "two"])
    before = manifest.read_text()
    manifest.unlink()  # as Snakemake does before it runs the job again
    monkeypatch.setattr(finetune.SFTTrainer, "train", None)
    finetune.main()
    assert manifest.read_text() == before


def test_a_bfloat16_base_is_trained_in_float32_and_saved_in_bfloat16(tiny, tmp_path, monkeypatch):
    AutoModelForCausalLM.from_pretrained(tiny).bfloat16().save_pretrained(tmp_path / "base")
    for file in tiny.glob("tokenizer*"):
        (tmp_path / "base" / file.name).write_bytes(file.read_bytes())
    trained_in = []
    train = finetune.SFTTrainer.train
    monkeypatch.setattr(
        finetune.SFTTrainer, "train", lambda self, **options: trained_in.append(self.model.dtype) or train(self)
    )
    manifest = run(tmp_path / "base", tmp_path / "run", monkeypatch, ["one", "two"])
    assert trained_in == [torch.float32]
    assert AutoModelForCausalLM.from_pretrained(manifest.parent).dtype == torch.bfloat16


@pytest.mark.fault(12)
def test_an_example_whose_prompt_fills_max_length_is_dropped_and_counted(tiny):
    chat = Chat(load_tokenizer(str(tiny), chat_template=TEMPLATE))
    room = len(chat.prompt("ab"))
    pairs = pl.DataFrame({"instruction": ["a", "ab"], "response": ["x", "y"], "finish_reason": "stop", "reason": None})
    examples, counts = encode_examples(chat, pairs, max_length=room)
    assert len(examples) == 1 and examples[0]["labels"][-1] == chat.response("x")[0]
    assert counts["n_dropped_prompt_fills_max_length"] == 1 and counts["n_truncated"] == 1


def test_a_changed_weight_file_is_named(tiny, tmp_path, monkeypatch):
    folder = run(tiny, tmp_path / "run", monkeypatch, ["one", "two"]).parent
    with open(folder / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(SystemExit, match=r"model\.safetensors missing or changed"):
        verify(folder)


@pytest.mark.fault(20)
def test_if_the_loss_is_nan_the_manifest_says_so_and_there_is_no_model(tiny, tmp_path, monkeypatch):
    manifest = run(tiny, tmp_path / "run", monkeypatch, ["one", "two"] * 40, learning_rate=1e30)
    assert re.fullmatch(r"loss nan at step \d+: lower finetune.learning_rate", failure(str(manifest.parent)))
    assert [path.name for path in manifest.parent.iterdir()] == ["manifest.json"]


def test_several_processes_train_the_same_steps_with_the_same_batches(tiny, tmp_path, monkeypatch):
    responses = [f"response number {i}" + " and more" * (i % 5) for i in range(24)]
    single = run(tiny, tmp_path / "single", monkeypatch, responses, micro_batch_size=2)
    arguments = sys.argv[1:]
    shared = tmp_path / "shared/manifest.json"
    arguments[arguments.index("--manifest") + 1] = str(shared)
    command = ["torchrun", "--standalone", "--nproc-per-node", "2", "-m", "scripts.finetuning.finetune", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:]
    one, two = (json.loads(manifest.read_text()) for manifest in (single, shared))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["batch_size"] == two["batch_size"] == HYPER["batch_size"] and one["steps"] == two["steps"] == 3
    assert two["first_loss"] == pytest.approx(one["first_loss"], rel=1e-5)
    assert two["last_loss"] == pytest.approx(one["last_loss"], rel=1e-3)


def test_grouping_by_length_reduces_padding_and_keeps_the_examples_of_a_step(tiny, tmp_path, monkeypatch):
    seen = []
    step = finetune.SFTTrainer.training_step
    monkeypatch.setattr(
        finetune.SFTTrainer,
        "training_step",
        lambda self, model, inputs, n: seen.append(inputs["attention_mask"]) or step(self, model, inputs, n),
    )
    responses = ["number" + " and more" * (i * i % 13) for i in range(28)]
    weights, padding = [], []
    for micro in (8, 2):
        seen.clear()
        manifest = run(tiny, tmp_path / str(micro), monkeypatch, responses, micro_batch_size=micro, epochs=2)
        weights.append(AutoModelForCausalLM.from_pretrained(manifest.parent).state_dict())
        padding.append(sum((mask == 0).sum().item() for mask in seen))
        steps = [seen[i : i + 8 // micro] for i in range(0, len(seen), 8 // micro)]
        assert [sum(len(mask) for mask in forwards) for forwards in steps] == [8, 8, 8, 4] * 2
    assert padding[1] < padding[0] / 3
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-4)


@pytest.mark.parametrize("processes", [1, 2, 4, 8, 32])
def test_a_step_has_32_examples_with_any_number_of_processes(processes, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    monkeypatch.setattr(sft_settings, "SFTConfig", lambda **settings: SimpleNamespace(n_gpu=1, **settings))
    config = sft_settings.settings(HYPER | {"batch_size": 32, "micro_batch_size": 1}, False, tmp_path)
    assert processes * config.per_device_train_batch_size * config.gradient_accumulation_steps == 32


def test_a_batch_that_the_processes_cannot_share_equally_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(
        SystemExit, match=r"finetune.batch_size \(8\) must be a multiple of micro_batch_size \(4\) x processes \(3\)"
    ):
        sft_settings.settings(HYPER, False, tmp_path)


def test_lora_changes_only_linear_layers_by_a_matrix_of_its_rank_and_saves_an_ordinary_model(
    tiny, tmp_path, monkeypatch
):
    lora = {"rank": 2, "alpha": 4, "dropout": 0, "learning_rate": 1e-2}
    manifest = run(tiny, tmp_path / "run", monkeypatch, [f"response {i}" for i in range(16)], lora=lora)
    before = AutoModelForCausalLM.from_pretrained(tiny).state_dict()
    after = AutoModelForCausalLM.from_pretrained(manifest.parent).state_dict()
    assert before.keys() == after.keys()
    for name, weight in before.items():
        change = after[name] - weight
        if "_proj" in name:
            rank = torch.linalg.matrix_rank(change, tol=1e-5 * max(change.shape)).item()
            assert 0 < rank <= lora["rank"], name
        else:
            assert change.abs().max() == 0, name
    assert json.loads(manifest.read_text())["treatment"] == "lora"


def test_fsdp_saves_all_weights_and_checkpoints_activations_only_once(tmp_path):
    config = sft_settings.settings(HYPER | {"gradient_checkpointing": True}, True, tmp_path)
    assert config.fsdp_plugin_args["state_dict_type"] == "FULL_STATE_DICT"
    assert config.fsdp_plugin_args["activation_checkpointing"] and not config.gradient_checkpointing


def test_a_model_that_is_there_is_not_trained_again(tiny, tmp_path, monkeypatch):
    responses = [f"response {i}" for i in range(8)]
    manifest = run(tiny, tmp_path / "run", monkeypatch, responses)
    before, weights = json.loads(manifest.read_text(encoding="utf-8")), sha256(manifest.with_name("model.safetensors"))
    manifest.unlink()  # as Snakemake does before it runs a job again
    with monkeypatch.context() as untrained:
        untrained.setattr(finetune, "train", None)
        finetune.main()
    assert json.loads(manifest.read_text(encoding="utf-8")) == before
    manifest.unlink()
    manifest.with_name("model.safetensors").write_bytes(b"another model's")
    finetune.main()
    assert sha256(manifest.with_name("model.safetensors")) == weights
