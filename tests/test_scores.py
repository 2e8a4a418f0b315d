"""What one forward pass gives for all published scores, compared with plain code written from their definitions."""

import math
import re

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config

from conftest import ROOT
from scripts.likelihoods import chunked_head, similarity
from scripts.likelihoods.similarity import up_projection
from scripts.likelihoods.steps import first_tokens
from scripts.likelihoods.token_scores import score_rows
from scripts.metrics.definitions import METRICS, PARTS
from scripts.models.chat import Chat, PlainText
from scripts.models.tokenizers import load_tokenizer
from scripts.ranking.relative_metrics import lark
from scripts.tables.files import write_table

ROWS = [
    {"instruction": "What is 2 + 2? Say it.", "response": "Two and two. Is it four? It is. 4", "finish_reason": "stop"},
    {"instruction": "Name\na <|im_end|> thing", "response": "It is 3.5 kg, 问题.\n\nYes. ", "finish_reason": "length"},
    {"instruction": "a", "response": "b", "finish_reason": "stop"},
    {"instruction": "long " * 5, "response": "One. Two? Three. " * 4, "finish_reason": "stop"},
]
CONVERSATION = {
    "instruction": "q",
    "response": "r",
    "messages": None,
    "turns": '[{"role": "assistant", "content": "Yes. No"}, {"role": "user", "content": "And?"}, '
    '{"role": "assistant", "content": "It is. Well"}]',
    "finish_reason": "stop",
}


@pytest.fixture(scope="module")
def chat(tiny):
    return Chat(load_tokenizer(str(tiny), chat_template=str(ROOT / "config/miniature/chat.jinja")))


@pytest.fixture(scope="module")
def model(tiny):
    """With weights large enough for predictions to differ."""
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    torch.manual_seed(5)
    model.lm_head.weight.data.normal_(std=0.3)
    return model


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunked_head, "CHUNK", 7)
    monkeypatch.setattr(similarity, "CHUNK", 5)


@torch.no_grad()
def plain_sums(model, chat, turns):
    """The sums of one row from all of its logits, without batches or chunks, one token after the other."""
    ids = [token for turn in turns for part in turn for token in part]
    kinds = [kind for turn in turns for kind, part in zip("QAE", turn, strict=True) for _ in part]
    kept = []
    handle = model.model.layers[-1].mlp.up_proj.register_forward_hook(lambda module, given, output: kept.append(output))
    p = model(torch.tensor([ids])).logits[0].double().softmax(-1)
    handle.remove()
    control = {token for token in ids if chat.tokenizer.convert_ids_to_tokens(token) in chat.encoder.control}
    sums = dict.fromkeys(("entropy", "brier", "end_entropy", "end_brier", "prompt_nll"), 0.0) | {"prompt_n_tokens": 0}
    for at in range(1, len(ids)):
        before, token, end = p[at - 1].tolist(), ids[at], "end_" if kinds[at] == "E" else ""
        if kinds[at] == "Q" and token not in control:
            sums["prompt_n_tokens"] += 1
            sums["prompt_nll"] -= math.log(before[token])
        if kinds[at] != "Q":
            sums[f"{end}entropy"] -= sum(x * math.log(x) for x in before)
            top = {i: before[i] for i in sorted(range(len(before)), key=lambda i: -before[i])[:50]}
            top = {i: x / sum(top.values()) for i, x in top.items()}
            sums[f"{end}brier"] += sum((x - (i == token)) ** 2 for i, x in top.items()) + (token not in top)
    states = [(state / state.norm()).double() for state in kept[0][0]]
    answer, prompt = (
        [x for x, kind, i in zip(states, kinds, ids, strict=True) if kind == k and i not in control] for k in "AQ"
    )
    answer, prompt = torch.stack(answer), torch.stack(prompt)
    pairs = {"answer_similarity": answer @ answer.T, "prompt_similarity": answer @ prompt.T}
    return sums | {name: cosines.mean().item() for name, cosines in pairs.items()}


def test_sums_for_all_scores_equal_plain_code_over_all_logits(chat, model):
    rows = [*ROWS, CONVERSATION]
    alone, together = (score_rows(chat, model, rows, 512, batch_tokens) for batch_tokens in (1, 2000))
    for row, *both in zip(rows, alone, together, strict=True):
        expected = plain_sums(model, chat, chat.turns(row))
        for got in both:
            assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_first_tokens_of_steps_are_counted_apart(chat, model):
    """A byte is a token here, so a step's first token is its first byte."""
    got = score_rows(chat, model, [*ROWS, CONVERSATION], 512, 2000, per_token=True)
    for row, sums in zip([*ROWS, CONVERSATION], got, strict=True):
        texts = ["Yes. No", "It is. Well"] if row is CONVERSATION else [row["response"]]
        starts, before = [], 0
        for text in texts:
            steps = re.split(r"(?<=[.?] )(?!$)", text)
            lengths = [len(step.encode()) for step in steps]
            starts += [before + sum(lengths[:i]) for i in range(len(steps))]
            before += sum(lengths) + len(chat.end)
        assert sums["first_n_tokens"] == len(starts)
        assert sums["first_nll"] == pytest.approx(sum(sums["token_nll"][i] for i in starts), rel=1e-5)


def test_a_step_begins_with_the_token_that_has_its_first_character():
    assert first_tokens(["It", "Ġis", ".", "ĠThe", "Ġ3", ".", "5", "?", "Ġ", "No", ".", "Ċ"]) == [0, 3, 9]
    assert first_tokens(["▁It", "▁is", "?▁", "▁The", ".▁"]) == [0, 3]
    assert first_tokens(["a"]) == [0] and first_tokens([]) == []


def test_a_base_without_the_layer_of_scas_keeps_its_other_scores(chat, model, tiny):
    vocabulary = len(chat.tokenizer)
    other = AutoModelForCausalLM.from_config(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=vocabulary)).eval()
    assert up_projection(other) is None and up_projection(model) is model.model.layers[-1].mlp.up_proj
    (got,) = score_rows(chat, other, ROWS[:1], 512, 2000)
    assert got["answer_similarity"] is None and got["prompt_similarity"] is None and got["unusable"] is None
    assert all(got[name] > 0 for name in ("nll", "entropy", "brier", "prompt_nll", "first_nll"))


def test_a_reference_model_has_the_same_columns(model, tiny):
    text = PlainText(load_tokenizer(str(tiny)))
    (got,) = score_rows(text, model, ROWS[:1], 512, 2000)
    assert got["prompt_n_tokens"] == len(ROWS[0]["instruction"]) + 1 and got["end_entropy"] == 0


# figures of the authors' own code on this model and these ids, in float32: Tianrun-Yu/LARK, lark/score_lark.py at
# 38cfd4f (score_one, compute_g_hat); zxia545/student_distillation_data_selection, scas/scoring/metric_utils.py at
# 346dcea (calculate_scas_metrics_on_answer); wangbing1416/ASLEC, merge_cal_limo_ours.py at 5737d69 (split_step,
# output_drop_score with skip_tokens=1, which gives 0 for a response of first tokens only)
AUTHORS = {
    "Two and two. Is it four? It is. 4": {"loss": 9.8406839, "brier": 1.8944125, "lark": 0.0650807}
    | {"scas": 8.8530371, "aslec_drop": -9.9894716},
    "4": {"loss": 7.5056629, "brier": 1.8166542, "lark": 0.0773020, "scas": 30.9398411, "aslec_drop": None},
    "It may be 4. Or 5? No, 4.": {"loss": 9.5301161, "brier": 1.8596400, "lark": 0.0648882}
    | {"scas": 9.3577909, "aslec_drop": -9.5574984},
}


def test_scores_equal_the_figures_of_the_authors_code(chat, model, tmp_path):
    rows = [{"instruction": "What is 2 + 2?", "response": text, "finish_reason": "stop"} for text in AUTHORS]
    sums = pl.DataFrame(score_rows(chat, model, rows, 512, 2000))
    values = {name: METRICS[name].row for name in ("loss", "scas", "aslec_drop")} | {"brier": PARTS["brier"]}
    found = sums.select(**values)
    for number, text in enumerate(AUTHORS):  # a teacher for each response to the one instruction
        keys = {"id": "i", "teacher": text, "reason": None}
        of_teacher = found[number].with_columns(pl.lit(value).alias(name) for name, value in keys.items())
        write_table(of_teacher, tmp_path / f"{number}.parquet")
    of_lark = lark([tmp_path / f"{number}.parquet" for number in range(3)], pl.DataFrame({"id": ["i"]}), list(AUTHORS))
    for row, (text, expected) in zip(found.with_columns(of_lark["lark"]).to_dicts(), AUTHORS.items(), strict=True):
        assert known(row) == pytest.approx(known(expected), rel=1e-5), text


def known(values):
    return {name: value for name, value in values.items() if value is not None}
