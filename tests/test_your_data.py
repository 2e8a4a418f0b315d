"""Every recipe of docs/your_data.md, run: its files, its configuration, and what is read of them."""

import re

import polars as pl
import pytest
import yaml

from conftest import ROOT, make_parent
from costly_outputs import run
from scripts.configuration.check_config import fill_and_check
from scripts.instructions.own_instructions import own_instructions
from scripts.tables.files import read_table

PAGE = (ROOT / "docs/your_data.md").read_text(encoding="utf-8")
RECIPES = {title: text for title, text in re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, flags=re.M | re.S)}
COLOR, FRUIT = "Name a color.", "Name a fruit."
# for each teacher: instruction to response or reason
EXPECTED = {
    "Columns of texts": {"theirs": {COLOR: "Red.", "Count to three.": "One, two,"}},
    "Instruction and input (Alpaca)": {
        "alpaca": {"Translate to French.\n\nGood morning.": "Bonjour.", COLOR: "Red."},
    },
    "Context before the question (Dolly)": {
        "dolly": {"The tower was built in 1889.\n\nWhen was it built?": "In 1889.", COLOR: "Red."},
    },
    "A spreadsheet": {"people": {'Say "hi", please.': "Hi!", COLOR: "Red,\nor blue."}},
    "Rows inside an object": {"export": {COLOR: "Red."}},
    "A row for each teacher": {"a": {COLOR: "Red."}, "b": {COLOR: "I like blue."}},
    "A column for each teacher, with rewards (Magpie's Generator Zoo)": {"a": {COLOR: "Red."}, "b": {COLOR: "Blue."}},
    "A list with an entry for each teacher (UltraFeedback)": {
        "a": {COLOR: "Red.", FRUIT: "An apple."},
        "b": {COLOR: "Blue.", FRUIT: "no_response"},
    },
    "Data sets with different instructions": {
        "alpaca": {"Translate to French.\n\nGood morning.": "Bonjour.", COLOR: "Red."},
        "chat": {FRUIT: "An apple."},
        "questions": {"Count to three.": "One, two, three.", FRUIT: "A pear."},
    },
    "Several samples of each instruction": {
        "samples": {COLOR: "Red. | I like blue.", FRUIT: "An apple."},
    },
    "Messages with roles": {
        "theirs": {
            f"system: Be brief.\n\nuser: {COLOR}": "Red.",
            f"user: {FRUIT}\n\nassistant: An apple.\n\nuser: One more.": "A pear.",
        }
    },
    "Conversations of ShareGPT": {"theirs": {f"system: Be brief.\n\nuser: {COLOR}": "Red.", FRUIT: "An apple."}},
    "Prompt and completion (TRL)": {"theirs": {COLOR: "Red."}},
    "Trajectories, in which every answer counts": {
        "agent": {"Rain?": "assistant: look()\n\ntool: wet\n\nassistant: Yes."}
    },
    "Trajectories with calls of tools (OpenAI)": {
        "agent": {
            'tools: [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", '
            '"properties": {"city": {"type": "string"}}}}}]\n\nuser: Rain in Oslo?': (
                'assistant: look({"city": "Oslo"})\n\ntool: wet\n\nassistant: Yes.'
            )
        }
    },
    "A batch of an endpoint": {"endpoint": {COLOR: "Red.", FRUIT: "no_response"}},
    "Answers of Arena-Hard": {"a": {COLOR: "Red."}},
    "Many files": {"pattern": {COLOR: "Red.", FRUIT: "An apple."}, "list": {COLOR: "Red.", FRUIT: "An apple."}},
}
# in the order of their rows of responses, whose instructions are in the order of a sample
REWARDS = {"a": [0.12], "b": [0.1], "samples": [0.5, 0.2, 0.9], "questions": [0.5, 0.25]}


def test_every_recipe_is_run():
    assert set(RECIPES) == set(EXPECTED)


@pytest.fixture
def config(request, tmp_path, monkeypatch):
    """The configuration of a recipe, added to the miniature, in a folder with the files of the recipe."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    text = RECIPES[request.param]
    for name, content in re.findall(r"^`([^`]+)`\n\n```(?:json|csv)\n(.*?)^```$", text, flags=re.M | re.S):
        make_parent(tmp_path / name).write_text(content, encoding="utf-8")
    (written,) = re.findall(r"^```yaml\n(.*?)^```$", text, flags=re.M | re.S)
    config, written = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")), yaml.safe_load(written)
    if "compare" in written:  # no other teachers, and so no baseline
        config |= {"teachers": {}, "benchmarks": {}, "ap": [], "compare": written["compare"]}
    config |= {"instructions": written["instructions"]}
    config["teachers"] |= written["teachers"]
    assert fill_and_check(config) == []
    return config


@pytest.mark.parametrize("config, title", [(title, title) for title in RECIPES], ids=RECIPES, indirect=["config"])
def test_a_recipe_reads_the_texts_that_it_is_for(config, title):
    names = {"output": "i.parquet", "set_aside": "aside.parquet"}
    for teacher, expected in EXPECTED[title].items():
        entry = config["teachers"][teacher]["import"] | {"candidates": config["teachers"][teacher]["candidates"]}
        unpaired = config["compare"] == "unpaired"
        source = own_instructions(config["teachers"][teacher]["import"], config["instructions"])
        run("scripts.instructions.prepare_instructions", spec=source if unpaired else config["instructions"], **names)
        instructions = read_table("i.parquet")
        paths = {"instructions": "i.parquet", "output": "r.parquet"}
        run("scripts.responses.import_responses", teacher=teacher, spec=entry, **paths)
        table = instructions.join(read_table("r.parquet"), on="id", validate="1:m", maintain_order="left_right")
        texts = table.group_by("instruction").agg(pl.coalesce("reason", "response").str.join(" | "))
        assert dict(texts.iter_rows()) == expected
        for name, column in entry["rewards"].items():
            keys = {key: entry["columns"][key] for key in ("id", "instruction") if key in entry["columns"]}
            spec = entry | {"columns": keys | {"reward": column}}
            paths = {"instructions": "i.parquet", "responses": "r.parquet", "output": "w.parquet"}
            run("scripts.rewards.import_rewards", teacher=teacher, reward_model=name, spec=spec, **paths)
            assert read_table("w.parquet")["reward"].to_list() == REWARDS[teacher]
