"""The data set of a base's first teacher: `datasets` can load it, and TRL trains on it as the pair was trained."""

import json
import re

import datasets
import polars as pl
import pytest

from conftest import ROOT
from scripts.datasets import write_dataset
from scripts.finetuning.sft_examples import encode_examples, read_pairs
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

TEMPLATE = ROOT / "config/templates/plain.jinja"


@pytest.fixture
def written(tmp_path, monkeypatch):
    ids = list("abcd")
    pl.DataFrame({"id": ids, "instruction": [f"say {i}" for i in ids]}).write_parquet(tmp_path / "instructions.parquet")
    for teacher in ("x", "y"):
        frame = {"id": ids, "teacher": teacher, "response": [f"{i} by {teacher}" for i in ids[:3]] + [None]}
        frame |= {"finish_reason": ["stop", "length", "stop", None], "reason": [None, None, None, "empty"]}
        pl.DataFrame(frame).write_parquet(tmp_path / f"{teacher}.parquet")
    rows = [("b", 1, "y", 3, 2.0, "negative reward"), ("b", 2, "x", 3, 1.0, None), ("other", 1, "x", 3, 9.0, None)]
    table = pl.DataFrame(rows, schema=["base", "rank", "teacher", "n", "car", "note"], orient="row")
    table.write_csv(tmp_path / "teachers.csv")
    given = {"study": "s", "base": "b", "model": "org/base", "revision": "abc", "chat-template": TEMPLATE}
    given |= {"sources": json.dumps({"x": {"model": "m/x"}, "y": {"model": "m/y"}})}
    given |= {"teachers": tmp_path / "teachers.csv", "instructions": tmp_path / "instructions.parquet"}
    given |= {"train": tmp_path / "out/train.parquet", "template-copy": tmp_path / "out/chat_template.jinja"}
    command = [str(part) for key, value in given.items() for part in (f"--{key}", value)]
    command += ["--responses", str(tmp_path / "x.parquet"), str(tmp_path / "y.parquet")]
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("sys.argv", ["x", *command, "--card", str(tmp_path / "out/README.md")])
    write_dataset.main()
    return tmp_path / "out"


def test_it_has_the_complete_responses_of_the_first_teacher_and_counts_the_rest(written):
    rows = datasets.load_dataset(str(written), split="train").to_list()
    assert rows == [
        {
            "id": i,
            "prompt": [{"role": "user", "content": f"say {i}"}],
            "completion": [{"role": "assistant", "content": f"{i} by y"}],
        }
        for i in "ac"
    ]
    card = (written / "README.md").read_text()
    assert "Responses of **y**, the first teacher by CAR (2) for the base model `org/base` (commit abc)" in card
    assert "Teachers compared: 2; instructions that all of them answered: 3." in card and '"model": "m/y"' in card
    assert "Rows: 2. Left out: " in card
    left = re.search("Left out: (.*)[.]", card)[1].split(", ")
    assert sorted(left) == ["1 cut at max_new_tokens", "1 empty"] and "commit abc" in card
    assert "Note: negative reward. " in card and "revision='abc'" in card
    assert (written / "chat_template.jinja").read_bytes() == TEMPLATE.read_bytes()


@pytest.mark.study
@pytest.mark.parametrize("base", ["alpha", "beta"])
def test_used_as_its_card_says_it_gives_the_ids_and_labels_of_the_pair(study, base, tmp_path, monkeypatch):
    folder = ROOT / f"results/miniature/datasets/{base}"
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.S)[1]
    code = code.replace("trainer.train()", "").replace('"checkpoint"', repr(str(tmp_path)))
    code = code.replace("SFTConfig(", "SFTConfig(use_cpu=True, bf16=False, ")  # no GPU is needed
    monkeypatch.chdir(ROOT)
    names = {}
    exec(code, names)
    first = pl.read_csv(ROOT / "results/miniature/tables/teachers.csv").filter(base=base, rank=1)["teacher"].item()
    results = ROOT / "results/miniature"
    pairs = read_pairs(results / "instructions.parquet", results / f"responses/{first}.parquet")
    pairs = pairs.filter(pl.col("finish_reason") != "length")
    chat = Chat(load_tokenizer(f"results/world/{base}", chat_template=str(TEMPLATE)))
    expected, _ = encode_examples(chat, pairs, max_length=4096)
    got = [{name: row[name] for name in ("input_ids", "labels")} for row in names["trainer"].train_dataset]
    assert len(got) > 400 and got == expected
