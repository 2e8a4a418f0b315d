"""The miniature's tokenizer: it can show what only tokenizers with merges over spaces do, and keeps tasks learnable."""

from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from costly_outputs import run
from scripts.miniature.miniature_tasks import add, reverse
from scripts.miniature.miniature_tokenizer import chat_tokenizer
from scripts.miniature.train_miniature_bases import encode
from scripts.models.chat import Chat

PLAIN = (ROOT / "config/templates/plain.jinja").read_text(encoding="utf-8")
ENDING_IN_A_SPACE = PLAIN.replace(r"\nAnswer:\n", r"\nAnswer: ")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """The tokenizer of config/miniature/world.yaml."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    world = yaml.safe_load((ROOT / "config/miniature/world.yaml").read_text(encoding="utf-8"))
    run("scripts.miniature.train_miniature_tokenizer", seed=world["seed"], output=path, **world["tokenizer"])
    return path


def tokens(chat: Chat, ids: list[int]) -> list[str]:
    """The text of each token; every one of these texts is ASCII."""
    return [chat.tokenizer.decode([token]) for token in ids]


def test_a_template_that_ends_its_prompt_in_a_space_gives_other_ids_than_the_conversation_and_is_refused(file):
    right, wrong = (Chat(chat_tokenizer(file, template)) for template in (PLAIN, ENDING_IN_A_SPACE))
    for response, first in (("It is bod.", " It"), ("d o b > b o d gives bod.", " d"), ("o", " o")):
        conversation, prompt = wrong.conversation("Reverse dob", response), wrong.prompt("Reverse dob")
        assert tokens(wrong, prompt)[-2:] == [":", " "]
        assert tokens(wrong, conversation)[len(prompt) - 2 : len(prompt)] == [":", first]  # no prefix: " " is gone
        assert conversation != prompt + wrong.response(response) + wrong.end
        prompt, text, end = right.example("Reverse dob", response, "stop")
        assert prompt + text + end == right.conversation("Reverse dob", response)
    right.refuse_for_base()
    with pytest.raises(SystemExit, match=r"joins the prompt and the response .* in one token"):
        wrong.refuse_for_base()


def test_digits_are_tokens_of_their_own_and_made_up_words_are_letters(file):
    chat = Chat(chat_tokenizer(file, PLAIN))
    assert tokens(chat, chat.response(add(39, 18).instruction)) == ["Add", " ", "3", "9", " and", " ", "1", "8"]
    assert tokens(chat, chat.response(reverse("dobu").instruction)) == ["Reverse", " d", "o", "b", "u"]


def test_the_bases_read_the_ids_of_the_whole_text_and_learn_from_the_answer(file):
    tokenizer = chat_tokenizer(file)
    example = encode(tokenizer, "Add 39 and 18?", " 9 + 8 = 17 gives 57.")
    assert example["input_ids"] == [*tokenizer("Add 39 and 18? 9 + 8 = 17 gives 57.").input_ids, tokenizer.eos_token_id]
    learned = [token for token in example["labels"] if token != -100]
    assert tokenizer.decode(learned) == " 9 + 8 = 17 gives 57.<|end|>"
    assert example["input_ids"][-len(learned) :] == learned


def test_any_text_is_encoded_and_decoded(file):
    tokenizer = chat_tokenizer(file)
    for text in ("¿Qué? 问题 🙂", "  two  spaces\n\n\tand a tab 007 ", "It's Zażółć"):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
