"""From an instruction and a response to token ids: the same ids in generation, likelihoods, rewards and fine-tuning.

Text written by people or models is data: a control token that stands in it (`<|im_end|>`, `</s>`) is tokenised as plain
characters. Everything else is tokenised as the chat template renders it.
"""

import re
from datetime import datetime
from itertools import count, zip_longest
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

TODAY = datetime(2024, 7, 26)  # what templates that tell the date are told, always: Llama 3's own, where none is known
MARK = "\ue000"  # a private-use character that stands for a text while a template is looked at


def read_tokenizer(model: str, revision: str | None = None, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Exits with one line if there is no such model, or no access to it."""
    try:
        return AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=trust_remote_code)
    except OSError as error:
        raise SystemExit(f"{model}: its tokenizer cannot be read: {' '.join(str(error).split())}") from None


def load_tokenizer(
    model: str, revision: str | None = None, chat_template: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with the template of the file `chat_template` in place of its own where one is named."""
    tokenizer = read_tokenizer(model, revision, trust_remote_code)
    if chat_template:
        tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8")
    if not tokenizer.chat_template:
        raise SystemExit(f"{model} has no chat template: name a file under `chat_template` of its config entry")
    return tokenizer


class Chat:
    """One tokenizer and its chat template.

    `end` holds the ids that follow a response, up to and with the end-of-turn token; what a template puts behind it
    (a newline in Qwen's) is neither scored nor trained on. `bos` holds the id the tokenizer puts before plain text,
    or nothing. Exits for a template without an end of turn, or one whose prompt is not the beginning of
    the whole conversation.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer
        control = sorted({str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}, key=len, reverse=True)
        self.control = re.compile("|".join(re.escape(token) for token in control) or r"(?!)")
        self.bos = start_of_text(tokenizer)
        self.end = self._end_of_turn()

    def prompt(self, instruction: str) -> list[int]:
        """Ids of the conversation up to the place where the response begins."""
        return self.ask([user(instruction)])

    def ask(self, messages: list[dict]) -> list[int]:
        """Ids of any conversation (dicts of role and content) up to the place where the next response begins."""
        return self._tokenize(messages, add_generation_prompt=True)

    def response(self, text: str) -> list[int]:
        """Ids of the response's own text, control tokens in it as plain characters."""
        return plain_ids(self.tokenizer, text)

    def conversation(self, instruction: str, response: str) -> list[int]:
        """Ids of the whole conversation as the template renders it; what reward models read."""
        return self._tokenize([user(instruction), assistant(response)], add_generation_prompt=False)

    def example(self, instruction: str, response: str, finish_reason: str) -> tuple[list[int], list[int], list[int]]:
        """Ids of the prompt, of the response's text, and of the end of turn, which a cut response does not have."""
        return self.prompt(instruction), self.response(response), [] if finish_reason == "length" else self.end

    def _tokenize(self, messages: list[dict], add_generation_prompt: bool) -> list[int]:
        inert, marked = [], []
        text = "".join(message["content"] for message in messages)
        mark = next(mark for mark in map("\ue000{}\ue001".format, count()) if mark not in text)
        for message in messages:
            inert += self.control.findall(message["content"])
            marked.append({**message, "content": self.control.sub(mark, message["content"])})
        pieces = self._render(marked, add_generation_prompt).split(mark)
        if len(pieces) != len(inert) + 1:
            raise SystemExit("the chat template drops or repeats a message: control tokens in it cannot be made inert")
        ids = []
        for piece, token in zip_longest(pieces, inert, fillvalue=""):
            ids += self.tokenizer(piece, add_special_tokens=False).input_ids
            ids += self.response(token)
        return ids

    def _render(self, messages: list[dict], add_generation_prompt: bool) -> str:
        how = {"tokenize": False, "add_generation_prompt": add_generation_prompt, "strftime_now": TODAY.strftime}
        try:
            return self.tokenizer.apply_chat_template(messages, **how)
        except (TemplateError, OverflowError) as error:  # wrong, or refused by the sandbox it runs in
            raise SystemExit(f"the chat template cannot be used: {error}") from None

    def _end_of_turn(self) -> list[int]:
        prompt = self._render([user(MARK)], add_generation_prompt=True)
        whole = self._render([user(MARK), assistant(MARK)], add_generation_prompt=False)
        if not whole.startswith(prompt):
            raise SystemExit(
                "the chat template renders the prompt otherwise once a response follows: "
                f"{prompt!r} does not begin {whole!r}; name another file under `chat_template`"
            )
        ids = self.tokenizer(whole.rsplit(MARK, 1)[1], add_special_tokens=False).input_ids
        special = {i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        for i, token in enumerate(ids):
            if token in special:
                return ids[: i + 1]
        raise SystemExit("the chat template ends a response without a special token: put {{ eos_token }} behind it")


class PlainText:
    """One tokenizer and no chat template: how reference models read (2402.00530, code_ifd/data_analysis.py).

    The prompt is the instruction and a newline, and a response has no end of turn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer
        self.bos = start_of_text(tokenizer)

    def example(self, instruction: str, response: str, finish_reason: str) -> tuple[list[int], list[int], list[int]]:
        """Ids of the prompt and of the response's text."""
        return self.bos + plain_ids(self.tokenizer, f"{instruction}\n"), plain_ids(self.tokenizer, response), []


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text, control tokens in it as plain characters."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids


def start_of_text(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before plain text: its BOS, or nothing."""
    return [tokenizer.bos_token_id] if tokenizer.bos_token_id in tokenizer("").input_ids else []


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}
