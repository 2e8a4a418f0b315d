"""The data set of a base's first teacher: `datasets` can load it, and TRL trains on it as the pair was trained."""

import json
import re
import shutil

import datasets
import polars as pl
import pytest
import yaml
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

import real_tokenizers
from conftest import ROOT
from scripts.datasets import write_dataset
from scripts.finetuning.sft_examples import encode_examples, read_pairs
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

PLAIN = str(ROOT / "config/templates/plain.jinja")
ANSWERS = ["Yes", "7", "def f(x):\n    return x", "回答是四十二。", "🙂👍", "trails ", "It is fine.\n\nReally."]
SPACED = ["  two spaces", "\n\nlines", "    code()", "\ttab"]
HOSTILE = "a</s>b <|im_end|><|eot_id|><end_of_turn><|endoftext|><｜User｜><|return|> z"
TEXTS = [*ANSWERS, *SPACED, HOSTILE]
# templates that a base may be given, the end of turn, and what the template writes after it
ENDS = {"plain": (None, ""), "llama3": ("<|eot_id|>", ""), "gemma": ("<end_of_turn>", ""), "chatml": ("<|im_end|>", "")}
OWN = {"qwen2_5": ("<|im_end|>", "\n"), "gemma3": ("<end_of_turn>", "\n"), "llama3_1": ("<|eot_id|>", "")}
OWN |= {"deepseek_v3": ("<｜end▁of▁sentence｜>", "")}
QUICK = [("qwen2_5", "own"), ("llama2", "plain")]
SLOW = [("gptoss", "plain"), ("gemma3", "own"), ("llama3_1", "own"), ("deepseek_v3", "own"), ("gemma3", "gemma")]
SLOW += [("qwen3", "chatml"), ("llama3", "llama3")]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]


def write(folder, monkeypatch, base, rows, max_length=4096):
    """Write the data set of base `b` and of `y`, the first of two teachers; its folder."""
    pairs = pl.DataFrame(rows, schema=["id", "instruction", "response", "finish_reason", "reason"], orient="row")
    pairs.select("id", "instruction").write_parquet(folder / "instructions.parquet")
    for teacher, texts in {"x": pl.lit("by x"), "y": pl.col("response")}.items():
        responses = pairs.drop("instruction").with_columns(teacher=pl.lit(teacher), response=texts)
        responses.write_parquet(folder / f"{teacher}.parquet")
    ranks = [("b", 1, "y", 3, 2.0, "negative reward"), ("b", 2, "x", 3, 1.0, None), ("other", 1, "x", 3, 9.0, None)]
    table = pl.DataFrame(ranks, schema=["base", "rank", "teacher", "n", "car", "note"], orient="row")
    table.write_csv(folder / "teachers.csv")
    out = folder / "out"
    out.mkdir()
    given = {"study": "s", "base": "b", "model": json.dumps(base), "max-length": max_length, "card": out / "README.md"}
    given |= {"sources": json.dumps({"x": {"model": "m/x"}, "y": {"model": "m/y"}})}
    given |= {"teachers": folder / "teachers.csv", "instructions": folder / "instructions.parquet"}
    given |= {"tokens": out / "tokens.parquet", "train": out / "train.parquet"}
    given |= {"template-copy": out / "chat_template.jinja"}
    command = [str(part) for key, value in given.items() for part in (f"--{key}", value)]
    command += ["--responses", str(folder / "x.parquet"), str(folder / "y.parquet")]
    monkeypatch.setattr("sys.argv", ["x", *command])
    write_dataset.main()
    return out


def used_as_its_card_says(folder, tmp_path) -> dict:
    """The names that the code of a card defines, without training and without a GPU."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.S)[1]
    code = code.replace("trainer.train()", "").replace('"checkpoint"', repr(str(tmp_path)))
    names = {}
    exec(code.replace("SFTConfig(", "SFTConfig(use_cpu=True, bf16=False, "), names)
    return names


def load(path) -> datasets.Dataset:
    return datasets.load_dataset("parquet", data_files=str(path), split="train")


def ids_and_labels(rows) -> list[dict]:
    return [{name: row[name] for name in ("input_ids", "labels")} for row in rows]


def in_batches(trainer) -> list[tuple]:
    """Ids and labels that reach the model, without padding, in any order."""
    rows = []
    for batch in trainer.get_train_dataloader():
        for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"].bool(), strict=True):
            assert set(labels[~mask].tolist()) <= {-100}
            rows.append((ids[mask].tolist(), labels[mask].tolist()))
    return sorted(rows)


def test_it_has_the_responses_of_the_first_teacher_and_counts_the_rest(tiny, tmp_path, monkeypatch):
    rows = [(i, f"say {i}", f"{i} by y", "stop", None) for i in "abcdef"]
    rows[1] = ("b", "say b", "b by y", "length", None)
    rows[3] = ("d", "say d", None, None, "empty")
    rows[4] = ("e", "say " + "e" * 60, "e by y", "stop", None)
    rows[5] = ("f", "say f", "<|end|>" + "f" * 40, "stop", None)
    folder = write(tmp_path, monkeypatch, {"model": str(tiny), "chat_template": PLAIN}, rows, max_length=64)
    train = load(folder / "train.parquet").to_list()
    assert all(row.pop("messages") == row["prompt"] + row["completion"] for row in train)
    assert train == [
        {
            "id": i,
            "prompt": [{"role": "user", "content": instruction}],
            "completion": [{"role": "assistant", "content": response}],
        }
        for i, instruction, response, finish_reason, _ in rows
        if finish_reason == "stop"
    ]
    tokens = load(folder / "tokens.parquet")
    assert set(tokens.column_names) == {"input_ids", "attention_mask", "labels"}  # no more: axolotl
    assert all(row["attention_mask"] == [1] * len(row["input_ids"]) for row in tokens)
    tokenizer = load_tokenizer(str(tiny), chat_template=PLAIN)
    answers = [tokenizer.decode([i for i in row["labels"] if i != -100]) for row in tokens]
    assert answers[:3] == ["a by y<|end|>", "b by y", "c by y<|end|>"]  # the cut one has no end of turn
    assert len(answers) == 4 and ("<|end|>" + "f" * 40).startswith(answers[3]) and len(tokens[3]["input_ids"]) == 64
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"Responses of **y**, the first teacher by CAR (2) for the base model `{tiny}` (no commit pinned)" in card
    assert "Teachers compared: 2; instructions that all of them answered: 3." in card and '"model": "m/y"' in card
    assert "| `tokens.parquet` | 4 |" in card and "| `train.parquet` | 4 |" in card
    assert "at most 64 tokens (rows cut there: 1)" in card
    assert "Left out: 1 cannot be used, 1 have a prompt that fills this length alone." in card
    assert sorted(re.search("Left out: (1 cut.*|.*empty)[.] A", card)[1].split(", ")) == [
        "1 cut at max_new_tokens",
        "1 empty",
    ]
    assert "For 3 of 4 conversations SFTTrainer makes the ids" in card and "Of the others: 1 contain a control" in card
    assert "Note: negative reward. " in card and "options = {}" in card
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == tokenizer.chat_template


def test_a_response_that_the_template_refuses_is_left_out_and_a_new_data_set_is_not_the_old_one(
    tiny, tmp_path, monkeypatch
):
    refusing = tmp_path / "refusing.jinja"
    text = (ROOT / "config/templates/plain.jinja").read_text(encoding="utf-8")
    refusing.write_text("{%- if 'no' in messages[-1].content -%}{{ raise_exception('no') }}{%- endif -%}" + text)
    rows = [("a", "say a", "yes", "stop", None), ("b", "say b", "no", "stop", None)]
    base = {"model": str(tiny), "chat_template": str(refusing), "revision": "abc"}
    folder = write(tmp_path, monkeypatch, base, rows)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Left out: 1 are refused by the chat template." in card and "Left out: 1 unrenderable." in card
    assert load(folder / "train.parquet")["id"] == ["a"]
    shutil.rmtree(folder)
    write(tmp_path, monkeypatch, base, [("c", "say c", "yes", "stop", None)])
    assert load(folder / "train.parquet")["id"] == ["c"]  # not what was stored of the first one
    assert "options = {'revision': 'abc'}" in card and "(commit abc)" in card


@pytest.mark.parametrize(("name", "template"), CASES)
def test_trl_trains_a_real_tokenizer_on_prompt_response_and_end_as_the_card_says(name, template, tmp_path, monkeypatch):
    source = real_tokenizers.folder_of(name)
    tokenizer = load_tokenizer(str(source))
    if template != "own":
        tokenizer.chat_template = (ROOT / f"config/templates/{template}.jinja").read_text(encoding="utf-8")
    end, tail = OWN[name] if template == "own" else ENDS[template]
    end = tokenizer.convert_tokens_to_ids(end or tokenizer.eos_token)
    base = base_of(tmp_path / "base", source, tokenizer)
    rows = [(str(i), "Who? 请回答", text, "stop", None) for i, text in enumerate(TEXTS)]
    rows.append(("cut", "Who? 请回答", "It is", "length", None))
    folder = write(tmp_path, monkeypatch, base, rows)
    used = used_as_its_card_says(folder, tmp_path)
    got = ids_and_labels(used["trainer"].train_dataset)
    assert in_batches(used["trainer"]) == sorted((row["input_ids"], row["labels"]) for row in got)

    # as in finetune.py
    chat = Chat(tokenizer)
    chat.refuse_for_base()
    pairs = read_pairs(tmp_path / "instructions.parquet", tmp_path / "y.parquet")
    assert got == encode_examples(chat, pairs, max_length=4096)[0]

    # and what transformers renders: prompt, response and end of turn, without what follows
    tail = tokenizer(tail, add_special_tokens=False).input_ids
    messages = [{"role": "user", "content": "Who? 请回答"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    for text, row in zip(TEXTS, got, strict=False):
        ids, labels = row["input_ids"], row["labels"]
        rendered = [*messages, {"role": "assistant", "content": text}]
        rendered = tokenizer.apply_chat_template(rendered, return_dict=False)
        rendered, after = rendered[: len(rendered) - len(tail)], rendered[len(rendered) - len(tail) :]
        assert after == tail and rendered[-1] == ids[-1] == end
        assert ids[: len(prompt)] == prompt and labels == [-100] * len(prompt) + ids[len(prompt) :]
        assert text not in ANSWERS or ids == rendered
        answer = tokenizer.decode(ids[len(prompt) : -1], clean_up_tokenization_spaces=False)
        assert answer.strip() == text.strip() and ids[len(prompt) :].count(end) == 1
        assert text == HOSTILE or tokenizer.decode(ids) == tokenizer.decode(rendered)
    assert tokenizer.decode(got[-1]["input_ids"]) == tokenizer.decode(prompt) + "It is"

    # the card counts the conversations of which TRL makes the same
    args = SFTConfig(output_dir=str(tmp_path / "other"), use_cpu=True, bf16=False, max_length=None)
    conversations = load(folder / "train.parquet")
    trainer = SFTTrainer(used["trainer"].model, args, train_dataset=conversations, processing_class=tokenizer)
    pairs = zip(got, ids_and_labels(trainer.train_dataset), strict=False)
    same = [text for text, (mine, other) in zip(TEXTS, pairs, strict=True) if mine == other]
    assert set(same) >= (set() if tail else set(ANSWERS)) and (not tail or not same)
    assert f"For {len(same)} of {len(TEXTS)} conversations" in (folder / "README.md").read_text(encoding="utf-8")


def base_of(folder, source, tokenizer) -> dict:
    """The entry of a tiny model with random weights and this tokenizer, its template in a file."""
    folder.mkdir()
    for file in source.glob("*.json"):
        shutil.copy(file, folder)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=4096, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    template = folder / "given.jinja"
    template.write_text(tokenizer.chat_template, encoding="utf-8")
    return {"model": str(folder), "chat_template": str(template)}


@pytest.mark.study
@pytest.mark.parametrize("base", ["alpha", "beta"])
def test_used_as_its_card_says_it_gives_the_ids_and_labels_of_the_pair(study, base, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    results = ROOT / "results/miniature"
    used = used_as_its_card_says(results / f"datasets/{base}", tmp_path)
    first = pl.read_csv(results / "tables/teachers.csv").filter(base=base, rank=1)["teacher"].item()
    pairs = read_pairs(results / "instructions.parquet", results / f"responses/{first}.parquet")
    chat = Chat(load_tokenizer(f"results/world/{base}", chat_template=PLAIN))
    hyper = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))["finetune"]
    expected, _ = encode_examples(chat, pairs, hyper["max_length"])
    assert len(expected) > 200
    assert ids_and_labels(used["trainer"].train_dataset) == expected
    manifest = json.loads((results / f"checkpoints/{base}/{first}/manifest.json").read_text(encoding="utf-8"))
    assert manifest["n_examples"] == len(expected)
