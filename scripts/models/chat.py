"""From an instruction and a response to token ids: the same ids in generation, likelihoods, rewards and fine-tuning.

Text written by people or models is data: a control token in it (`<|im_end|>`, `</s>`) is tokenized as plain characters.
Everything else is tokenized as the chat template renders it.
"""

import re
from datetime import datetime
from itertools import count, zip_longest
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

TODAY = datetime(2024, 7, 26)  # the date that every template gets: the default of Llama 3's own template
MARK = "\ue000"  # a private-use character as the text of a message when the template itself is examined


def read_tokenizer(model: str, revision: str | None = None, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Exits with one line if there is no such model, or no access to it."""
    try:
        return AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=trust_remote_code)
    except OSError as error:
        raise SystemExit(f"{model}: its tokenizer cannot be read: {' '.join(str(error).split())}") from None


def load_tokenizer(
    model: str, revision: str | None = None, chat_template: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The model's tokenizer. The template of the file `chat_template`, if given, replaces the tokenizer's own.

    Exits if there is no chat template.
    """
    tokenizer = read_tokenizer(model, revision, trust_remote_code)
    if chat_template:
        tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8")
    if not tokenizer.chat_template:
        raise SystemExit(f"{model} has no chat template: name a file under `chat_template` of its config entry")
    return tokenizer


class Chat:
    """One tokenizer and its chat template.

    `end`: the ids that follow a response, up to and including the end-of-turn token. What a template adds after it (a
    newline in Qwen's) is neither scored nor trained on. `bos`: the id that the tokenizer puts before plain text, or an
    empty list. Exits if the template has no end of turn, or if the prompt is not the beginning of the conversation.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer
        control = sorted({str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}, key=len, reverse=True)
        self.control = re.compile("|".join(re.escape(token) for token in control) or r"(?!)")
        self.bos = start_of_text(tokenizer)
        self.end = self._end_of_turn()

    def prompt(self, instruction: str) -> list[int]:
        """Ids of the conversation up to the beginning of the response."""
        return self.ask([user(instruction)])

    def ask(self, messages: list[dict]) -> list[int]:
        """Ids of a conversation (dicts of role and content) up to the beginning of the next response."""
        return self._tokenize(messages, add_generation_prompt=True)

    def response(self, text: str) -> list[int]:
        """Ids of the text of a response, with control tokens as plain characters."""
        return plain_ids(self.tokenizer, text)

    def conversation(self, instruction: str, response: str) -> list[int]:
        """Ids of the complete conversation as the template renders it; the input of reward models."""
        return self._tokenize([user(instruction), assistant(response)], add_generation_prompt=False)

    def example(self, instruction: str, response: str, finish_reason: str) -> tuple[list[int], list[int], list[int]]:
        """Ids of the prompt, of the response's text, and of the end of turn (empty for a cut response)."""
        return self.prompt(instruction), self.response(response), [] if finish_reason == "length" else self.end

    def _tokenize(self, messages: list[dict], add_generation_prompt: bool) -> list[int]:
        # a mark replaces each control token in a message; after rendering, the token is put back as plain characters
        replaced, marked = [], []
        text = "".join(message["content"] for message in messages)
        mark = next(mark for mark in map("\ue000{}\ue001".format, count()) if mark not in text)
        for message in messages:
            replaced += self.control.findall(message["content"])
            marked.append({**message, "content": self.control.sub(mark, message["content"])})
        pieces = self._render(marked, add_generation_prompt).split(mark)
        if len(pieces) != len(replaced) + 1:
            raise SystemExit(
                "the chat template drops or repeats a message that contains control tokens: "
                "name another file under `chat_template`"
            )
        ids = []
        for piece, token in zip_longest(pieces, replaced, fillvalue=""):
            ids += self.tokenizer(piece, add_special_tokens=False).input_ids
            ids += self.response(token)
        return ids

    def _render(self, messages: list[dict], add_generation_prompt: bool) -> str:
        options = {"tokenize": False, "add_generation_prompt": add_generation_prompt, "strftime_now": TODAY.strftime}
        try:
            return self.tokenizer.apply_chat_template(messages, **options)
        except (TemplateError, OverflowError) as error:  # the template is wrong, or its sandbox refuses it
            raise SystemExit(f"the chat template cannot be used: {error}") from None

    def _end_of_turn(self) -> list[int]:
        prompt = self._render([user(MARK)], add_generation_prompt=True)
        conversation = self._render([user(MARK), assistant(MARK)], add_generation_prompt=False)
        if not conversation.startswith(prompt):
            raise SystemExit(
                "the chat template renders the prompt differently when a response follows: "
                f"{conversation!r} does not begin with {prompt!r}; name another file under `chat_template`"
            )
        ids = self.tokenizer(conversation.rsplit(MARK, 1)[1], add_special_tokens=False).input_ids
        special = {i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        for i, token in enumerate(ids):
            if token in special:
                return ids[: i + 1]
        raise SystemExit("the chat template ends a response without a special token: put {{ eos_token }} after it")


class PlainText:
    """One tokenizer and no chat template: the input of reference models (2402.00530, code_ifd/data_analysis.py).

    The prompt is the instruction and a newline, and a response has no end of turn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer
        self.bos = start_of_text(tokenizer)

    def example(self, instruction: str, response: str, finish_reason: str) -> tuple[list[int], list[int], list[int]]:
        """Ids of the prompt and of the response's text."""
        return self.bos + plain_ids(self.tokenizer, f"{instruction}\n"), plain_ids(self.tokenizer, response), []


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text, with control tokens as plain characters."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids


def start_of_text(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The id that the tokenizer puts before plain text, its BOS, or an empty list."""
    return [tokenizer.bos_token_id] if tokenizer.bos_token_id in tokenizer("").input_ids else []


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}
