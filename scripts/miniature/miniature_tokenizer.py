"""Byte-level BPE tokenizers for small models: any text is encoded, and no token is unknown."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CONTEXT = 512
CONTROL = ["<|bos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"]


def train_bpe(texts: Iterable[str], merges: int) -> Tokenizer:
    """A tokenizer of the control tokens, the 256 bytes and at most `merges` merges, the same for the same texts.

    As in GPT-2 a space belongs to the token that it precedes. A digit is a token of its own, as in Llama 2 and Qwen.
    """
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = len(CONTROL) + len(alphabet) + merges
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=CONTROL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    return tokenizer


def chat_tokenizer(tokenizer: Tokenizer | Path, chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of transformers for one of `train_bpe` or its file, with its control tokens named."""
    given = {"tokenizer_file": str(tokenizer)} if isinstance(tokenizer, Path) else {"tokenizer_object": tokenizer}
    fast = PreTrainedTokenizerFast(
        **given,
        bos_token="<|bos|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        extra_special_tokens=["<|user|>", "<|assistant|>"],
        model_max_length=CONTEXT,
    )
    fast.chat_template = chat_template
    return fast


def byte_tokenizer(chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """One token per byte, for models with random weights."""
    return chat_tokenizer(train_bpe([], merges=0), chat_template)
