"""The first token of a judge: tokens with one text count together, and a judge that names no answer is not read."""

import json
import math
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletion

import real_tokenizers
from scripts.engines.completions import read_completion
from scripts.engines.decoding import decode_logprobs
from scripts.judgments.judge_outputs import read_names
from scripts.judgments.pairwise_verdicts import added, named_mass, preference

TINY = math.exp(-12)
# probabilities of the first token; the preference for M, None if it is not read; the probability of both names
DISTRIBUTIONS = [
    ({"▁M": 0.55, "M": 0.36, "m": 0.05, "▁m": 0.04}, 0.91, 1.0),
    ({"M": 0.55, "▁M": 0.36, "▁m": 0.05, "m": 0.04}, 0.91, 1.0),  # in another order
    ({"▁m": 0.6, "m": 0.2, "▁M": 0.2}, 0.2, 1.0),
    ({"M": 0.9, "m": 0.1}, 0.9, 1.0),
    ({"▁M": 0.5, "▁A": 0.5}, 1.0, 0.5),
    ({"▁M": 0.3, "M": 0.15, "▁m": 0.15, "▁Both": 0.4}, 0.75, 0.6),
    ({"▁The": 0.9, "▁M": 0.06, "M": 0.04}, None, 0.1),
    ({"▁The": 1 - 2 * TINY, "M": TINY, "m": TINY}, None, 2 * TINY),
    ({"<": 0.99, "M": TINY}, None, TINY),  # of <think>
    ({"▁A": 0.6, "▁B": 0.4}, None, 0.0),
    ({"▁Model": 0.7, "▁m": 0.3}, None, 0.3),  # begins with M, and is another word
    ({"▁m": 1.0}, 0.0, 1.0),
    ({"▁m": 0.25, "m": 0.25, "▁M": 0.25, "M": 0.25}, 0.5, 1.0),
    ({"▁M": 0.1, "M": 0.1, "▁m": 0.2, "m": 0.1, "▁I": 0.5}, 0.4, 0.5),  # half, added from four tokens
    ({"▁M": 0.29, "M": 0.2, "▁The": 0.51}, None, 0.49),
    ({"▁": 0.9, "M": 0.06, "m": 0.04}, None, 0.1),  # a space alone, and the name would have followed
    ({"▁Mr": 0.6, "▁my": 0.1, "M": 0.3}, None, 0.3),
    ({"[": 0.6, "▁[": 0.3, "M": 0.1}, None, 0.1),  # of [THINK] or [[
    ({"▁Mod": 0.45, "▁M": 0.55}, 1.0, 0.55),
    ({"</s>": 0.7, "M": 0.3}, None, 0.3),
]


@pytest.mark.parametrize(("probabilities", "expected", "mass"), DISTRIBUTIONS)
def test_tokens_of_mistral_with_one_text_count_together(probabilities, expected, mass):
    tokenizer = real_tokenizers.mistral()
    ids = {piece: tokenizer.convert_tokens_to_ids(piece) for piece in probabilities}
    assert None not in ids.values() and len(set(ids.values())) == len(ids)
    stored = decode_logprobs(
        SimpleNamespace(tokenizer=tokenizer), {ids[piece]: math.log(p) for piece, p in probabilities.items()}
    )
    assert named_mass(added(stored["logprobs"])) == pytest.approx(mass)
    found = read_names(stored)
    assert (None if found is None else preference(found, was_switched=False)) == (
        None if expected is None else pytest.approx(expected)
    )


def test_two_tokens_of_mistral_have_the_text_m():
    tokenizer = real_tokenizers.mistral()
    ids = tokenizer.convert_tokens_to_ids(["M", "▁M"])
    assert ids[0] != ids[1] and [tokenizer.decode([i]) for i in ids] == ["M", "M"]


def test_tokens_of_an_endpoint_with_one_text_count_together():
    top = [("M", 0.5), ("M", 0.3), (" m", 0.15), ("m\n", 0.05)]
    tokens = [{"token": text, "logprob": math.log(p), "bytes": None} for text, p in top]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "M"}}
    choice["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}], "refusal": None}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    stored = read_completion(ChatCompletion.model_validate(body))
    assert preference(read_names(stored), was_switched=False) == pytest.approx(0.8)
    assert preference(read_names(stored), was_switched=True) == pytest.approx(0.2)


def test_a_space_is_no_part_of_a_name_however_the_vocabulary_writes_it():
    tokens = [("▁M", 0.25), ("ĠM", 0.25), ("\nM", 0.125), ("M ", 0.125), ("m", 0.25)]
    found = added(json.dumps([(text, math.log(p)) for text, p in tokens]))
    assert found == {"M": pytest.approx(math.log(0.75)), "m": pytest.approx(math.log(0.25))}


def test_an_output_without_log_probabilities_is_not_read():
    assert read_names({"logprobs": None}) is None
