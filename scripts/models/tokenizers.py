"""Tokenizers that encode as their tokenizer.json says, and text in which control tokens are plain characters."""

import re
from functools import cached_property
from pathlib import Path

from tokenizers import AddedToken, Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils import cached_file

SEPARATOR = "\ue000separator\ue001"  # of private-use characters
PROBE = "Hello there, dear 1234 问题: def f(x):\n    return x  🙂"


def load_tokenizer(
    model: str, revision: str | None = None, chat_template: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or a hub name, with the chat template of a file if one is named.

    Exits with one line if no class of transformers encodes and decodes as the model's tokenizer.json says: version 5
    rebuilds some tokenizers from their class name (byte-level ones labeled LlamaTokenizer lose their spaces).
    """
    names = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, **names)
    except OSError as error:
        raise SystemExit(f"{model}: its tokenizer cannot be read: {' '.join(str(error).split())}") from None
    if type(tokenizer).__name__ == "MistralCommonBackend":  # it has no chat template
        tokenizer = AutoTokenizer.from_pretrained(model, mistral_format=False, **names)
    file = cached_file(model, "tokenizer.json", revision=revision, _raise_exceptions_for_missing_entries=False)
    if file and not agrees(tokenizer, expected := Tokenizer.from_file(file)):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(model, revision=revision)
        if not agrees(tokenizer, expected):
            raise SystemExit(f"{model}: its tokenizer does not encode as its tokenizer.json: update transformers")
    if chat_template:
        tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8-sig")  # a byte-order mark is no text
    return tokenizer


def agrees(tokenizer: PreTrainedTokenizerBase, expected: Tokenizer) -> bool:
    """Whether a tokenizer gives a probe the ids, and the ids the text, that the tokenizer of its file does."""
    ids = expected.encode(PROBE, add_special_tokens=False).ids
    if tokenizer(PROBE, add_special_tokens=False).input_ids != ids:
        return False
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text == expected.decode(ids, skip_special_tokens=False)


class Encoder:
    """From text to ids where some of the text is data: control tokens in it are encoded as plain characters.

    Control tokens are the special tokens and every other added token that the chat template writes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer
        self.added = {str(token): token for token in tokenizer.added_tokens_decoder.values()}
        template = str(tokenizer.chat_template or "")
        written = {text for text in self.added if text.strip() and text in template}  # Gemma has tokens of white space
        self.control = written | {text for text, token in self.added.items() if text and token.special}
        special = [text for text, token in self.added.items() if token.special]
        self.special_ids = set(tokenizer.convert_tokens_to_ids(special))
        longest_first = sorted(self.control, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def encode(self, text: str) -> list[int]:
        """Ids of a text, control tokens in it as such; no start of text is added."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def encode_data(self, text: str, after: str = "") -> list[int]:
        """Ids of a text that is data, as they follow the template's text `after`, or at the start of a text.

        Where the tokenizer would join the end of `after` with white space of the text, the text keeps its own ids.
        """
        if not after:
            return self.encode_plain(text, starts=True)
        before, together = (self.encode_plain(part, starts=False) for part in (after, after + text))
        joined = together[: len(before)] != before
        return self.encode_plain(text, starts=False) if joined else together[len(before) :]

    def encode_marked(self, text: str, marks: dict[str, str]) -> list[int]:
        """Ids of a rendered template in which marks stand for control tokens that are data.

        The text between two control tokens of the template is encoded as a tokenizer does it: each part by itself.
        """
        restore = re.compile("|".join(map(re.escape, marks)))
        ids, start, last = [], 0, None
        for found in [*self.pattern.finditer(text), None]:
            part = text[start : found.start() if found else len(text)]
            if last and self.added[last].rstrip:
                part = part.lstrip()
            if found and self.added[found[0]].lstrip:
                part = part.rstrip()
            ids += self.encode_plain(restore.sub(lambda mark: marks[mark[0]], part), starts=not start)
            if found:
                last, start = found[0], found.end()
                ids.append(self.tokenizer.convert_tokens_to_ids(last))
        return ids

    def encode_plain(self, text: str, starts: bool) -> list[int]:
        """Ids of a text without any control token, at the start of a text or behind a control token."""
        if not text:
            return []
        if not self.tokenizer.is_fast:
            return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
        if starts:
            return self.plain.encode(text, add_special_tokens=False).ids
        return self.plain.encode(SEPARATOR + text.replace(SEPARATOR, ""), add_special_tokens=False).ids[1:]

    @cached_property
    def plain(self) -> Tokenizer:
        """The tokenizer, its control tokens renamed to what no text contains, with a separator in their place."""
        own = self.tokenizer.backend_tokenizer
        plain = Tokenizer(own.model)  # shared: a copy of a large vocabulary takes seconds
        if own.normalizer:
            plain.normalizer = own.normalizer
        if own.pre_tokenizer:
            plain.pre_tokenizer = own.pre_tokenizer
        added = own.get_added_tokens_decoder()
        for number, token in added.items():
            if token.content in self.control:
                token.content = f"{SEPARATOR}{number}"
        plain.add_tokens([added[number] for number in sorted(added)])  # all: without some, others had other numbers
        plain.add_special_tokens([AddedToken(SEPARATOR, special=True, normalized=False)])
        return plain
