"""Whole studies on conversations: ShareGPT with system prompts and turns, and trajectories with calls of tools."""

import json
import random
import shutil

import polars as pl
import pytest
import yaml
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

from conftest import link_workflow, snakemake
from scripts.models.tokenizers import load_tokenizer
from test_tool_calls import SMALL, WEATHER, call

pytestmark = pytest.mark.slow

N = 12
TEMPLATES = {"last": "config/templates/plain.jinja", "all": "tools.jinja"}
WORDS = ["rain", "wind", "sun", "snow", "fog", "hail"]


def sharegpt(rng, teacher):
    """A conversation of three turns, the last answer by this teacher."""
    first, second, third = rng.sample(WORDS, 3)
    texts = [("human", f"What is {first}?"), ("gpt", f"It is {first}."), ("human", f"And {second}?"), ("gpt", "Water.")]
    texts += [("human", f"And {third}?"), ("gpt", f"{teacher} says {third}.")]
    system = [{"from": "system", "value": "Be brief."}] if rng.random() < 0.5 else []
    return system + [{"from": role, "value": text} for role, text in texts]


def trajectory(rng, teacher):
    """Two calls of a tool by this teacher, and its answer; the instruction is the same for all teachers."""
    one, two = rng.sample(WORDS, 2)
    texts = [("user", f"Is there {one} or {two}?"), ("assistant", f"{teacher} looks"), ("tool", "yes")]
    texts += [("assistant", ""), ("tool", "no"), ("assistant", f"Only {one}.")]
    talk = [{"role": role, "content": text} for role, text in texts]
    for at, word in ((1, one), (3, two)):
        talk[at]["tool_calls"] = [call("weather", {"word": word, "by": teacher})]
    return talk


@pytest.fixture(scope="module", params=[(sharegpt, "last"), (trajectory, "all")], ids=["sharegpt", "trajectories"])
def finished(request, tiny, tiny_reward_model, tmp_path_factory):
    """The folder of a study that ranked two teachers and trained the base on one, `turns`, and the conversations."""
    shape, turns = request.param
    root = link_workflow(tmp_path_factory.mktemp("talks"))
    (root / "tools.jinja").write_text(SMALL, encoding="utf-8")
    shutil.copytree(tiny, root / "base")
    shutil.copytree(tiny_reward_model, root / "judge")
    talks = {}
    for teacher in ("a", "bb"):
        rng = random.Random(0)  # the same questions
        talks[teacher] = [shape(rng, teacher) for _ in range(N)]
        lines = [json.dumps({"chat": talk, "tools": [WEATHER], "unused": i}) for i, talk in enumerate(talks[teacher])]
        (root / f"{teacher}.jsonl").write_text("\n".join([*lines, '{"chat": "none"}']), encoding="utf-8")
    names = {"messages": "chat"} | ({"tools": "tools"} if turns == "all" else {})
    table = {"columns": names, "turns": turns}
    config = {
        "study": "talks",
        "instructions": {"path": "a.jsonl", **table},
        "teachers": {name: {"import": {"path": f"{name}.jsonl", **table}} for name in talks},
        "bases": {"base": {"model": "./base", "chat_template": TEMPLATES[turns], "gpus": 0}},
        "reward_models": {"judge": {"model": "./judge", "chat_template": TEMPLATES[turns], "gpus": 0}},
        "car": {"reward_model": "judge", "transform": "sigmoid"},
        "finetune": {"epochs": 1, "batch_size": 4, "micro_batch_size": 2, "max_length": 512},
    }
    (root / "talks.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    targets = ["rank", "results/talks/checkpoints/base/a/manifest.json"]
    done = snakemake("--cores", "2", "--configfile", "talks.yaml", "--", *targets, cwd=root)
    assert done.returncode == 0, done.stdout[-5000:]
    return root, turns, talks


def tools_of(turns):
    return [WEATHER] if turns == "all" else None


def as_messages(talk, turns):
    if turns == "all":
        return talk
    names = {"human": "user", "gpt": "assistant"}
    return [{"role": names.get(m["from"], m["from"]), "content": m["value"]} for m in talk]


def test_every_conversation_is_ranked_or_set_aside_with_its_reason(finished):
    root, turns, talks = finished
    aside = pl.read_parquet(root / "results/talks/set_aside/instructions.parquet")
    assert "not_messages" in aside["reason"].to_list() and set(aside["reason"]) <= {"not_messages", "duplicate"}
    kept = pl.read_parquet(root / "results/talks/instructions.parquet")
    assert kept.height + aside.height == N + 1
    for teacher in talks:
        responses = pl.read_parquet(root / f"results/talks/responses/{teacher}.parquet")
        assert responses["reason"].null_count() == responses.height == kept.height
        assert responses["response"].str.contains(teacher).all()
        assert responses["turns"].null_count() == (0 if turns == "all" else kept.height)
    ranked = pl.read_csv(root / "results/talks/tables/teachers.csv")
    assert sorted(ranked["rank"]) == [1, 2] and set(ranked["n"]) == {kept.height}


def test_likelihoods_equal_a_forward_pass_over_the_rendered_conversation(finished):
    root, turns, talks = finished
    tokenizer = load_tokenizer(str(root / "base"), chat_template=str(root / TEMPLATES[turns]))
    model = AutoModelForCausalLM.from_pretrained(root / "base").eval()
    scored = pl.read_parquet(root / "results/talks/likelihoods/base/a.parquet").filter(pl.col("reason").is_null())
    expected = [nll_of_assistant(model, tokenizer, as_messages(talk, turns), turns) for talk in talks["a"]]
    for row in scored.iter_rows(named=True):
        assert min(abs(row["nll"] + row["end_nll"] - value) for value in expected) < 1e-3


def nll_of_assistant(model, tokenizer, messages, turns):
    """Sum of the nll of the tokens of the assistant's last message, or of all of them, with their end of turn."""
    how = {"tools": tools_of(turns), "return_dict": False}
    ids = tokenizer.apply_chat_template(messages, **how)
    logp = model(input_ids=model.dummy_inputs["input_ids"].new_tensor([ids])).logits[0].double().log_softmax(-1)
    total = 0.0
    for i, message in enumerate(messages):
        if message["role"] == "assistant" and (turns == "all" or i == len(messages) - 1):
            start = len(tokenizer.apply_chat_template(messages[:i], add_generation_prompt=True, **how))
            end = len(tokenizer.apply_chat_template(messages[: i + 1], **how))
            total -= sum(logp[at - 1, ids[at]].item() for at in range(start, end))
    return total


def test_ids_and_labels_of_every_turn_are_those_of_trl(finished, tmp_path):
    root, turns, talks = finished
    folder = root / "results/talks/datasets/base"
    winner = pl.read_csv(root / "results/talks/tables/teachers.csv").filter(rank=1)["teacher"].item()
    tokens = pl.read_parquet(folder / "tokens.parquet")
    train = load_dataset("parquet", data_files=str(folder / "train.parquet"), split="train").to_list()
    whole = {json.dumps(as_messages(talk, turns)) for talk in talks[winner]}
    assert tokens.height == len(train) and {json.dumps(row["messages"]) for row in train} <= whole
    assert all(row.get("tools") == tools_of(turns) for row in train)
    tokenizer = load_tokenizer(str(root / "base"), chat_template=str(root / TEMPLATES[turns]))
    for row, messages in zip(tokens.to_dicts(), (row["messages"] for row in train), strict=True):
        at = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
        at = at if turns == "all" else at[-1:]
        parts = [{"prompt": messages[:i], "completion": [messages[i]], "tools": tools_of(turns)} for i in at]
        args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, max_length=None, report_to="none")
        trainer = SFTTrainer(
            str(root / "base"),
            args,
            train_dataset=Dataset.from_list(parts, on_mixed_types="use_json"),
            processing_class=tokenizer,
        )
        labels = [-100] * len(row["input_ids"])
        for part in trainer.train_dataset:
            n = len(part["input_ids"])
            assert part["input_ids"] == row["input_ids"][:n]
            labels[:n] = [new if new != -100 else old for old, new in zip(labels[:n], part["labels"], strict=True)]
        assert labels == row["labels"]


def test_the_pair_was_trained_on_all_of_them(finished):
    root, _, _ = finished
    result = json.loads((root / "results/talks/checkpoints/base/a/manifest.json").read_text(encoding="utf-8"))
    kept = pl.read_parquet(root / "results/talks/instructions.parquet")
    assert result["n_examples"] == kept.height and result["n_unrenderable"] == 0
