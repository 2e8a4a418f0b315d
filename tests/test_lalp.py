"""LALP: each step after only a few steps before it, compared with a forward pass of its own window."""

import re

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from conftest import ROOT
from costly_outputs import TEMPLATE
from scripts.likelihoods.step_windows import score_rows, windows
from scripts.likelihoods.tokens import Tokens
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer
from scripts.plan.dry_run import Job
from scripts.plan.plan_costs import Cost
from scripts.plan.planned_jobs import cost_of
from scripts.ranking.sampled_metrics import scores_of_steps
from scripts.report.scores import sampled_in_words
from scripts.tables.files import write_table
from test_plan import study

TEXTS = ["One. Two? Three is 3.5. Four. Five! Six. Seven. Eight.", "A single step", "Is it. No. "]


@pytest.fixture(scope="module")
def chat(tiny):
    return Chat(load_tokenizer(str(tiny), chat_template=str(ROOT / TEMPLATE)))


@pytest.fixture(scope="module")
def model(tiny):
    return AutoModelForCausalLM.from_pretrained(tiny).eval()


@pytest.mark.parametrize("steps_before", [0, 2, 4])
def test_each_step_is_scored_in_its_own_window(chat, model, steps_before):
    rows = [{"instruction": f"Question {text[:2]}", "response": text, "finish_reason": "stop"} for text in TEXTS]
    results = score_rows(chat, model, rows, 4096, 256, steps_before)
    for row, result in zip(rows, results, strict=True):
        prompt, text, _ = chat.example(row["instruction"], row["response"], "stop")
        steps = re.split(r"(?<=[.?] )(?=.)", row["response"].rstrip())
        sizes = [len(step.encode()) for step in steps]
        sizes[-1] += len(text) - sum(sizes)  # white space at the end: a token is a byte
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        total = 0.0
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True)):
            first = end - sum(sizes[max(i - steps_before, 0) : i + 1])
            ids = prompt + text[first:end]
            with torch.inference_mode():
                log_probs = model(torch.tensor([ids])).logits[0, :-1].double().log_softmax(-1)
            of_step = [log_probs[at - 1, ids[at]].item() for at in range(len(ids) - size, len(ids))]
            total += sum(of_step) / size
        assert result["n_steps"] == len(steps) and result["unusable"] is None
        assert result["step_log_prob"] == pytest.approx(total, rel=1e-5)
    assert [result["n_steps"] for result in results] == [7, 1, 2]


def test_a_row_that_does_not_fit_has_a_reason(chat, model):
    row = {"instruction": "Q", "response": TEXTS[0], "finish_reason": "stop"}
    (result,) = score_rows(chat, model, [row], 20, 256, 4)
    assert result == {"n_steps": None, "step_log_prob": None, "unusable": "over_long"}


def test_steps_of_a_later_message_follow_the_whole_conversation_before_it():
    turns = [([1, 2], [3, 4, 5], [6]), ([7], [8, 9, 10, 11], [6])]
    first = [True, False, True, True, True, False, True]  # steps 34, 5, and 8, 9 10, 11
    found = [(given, scored, sizes) for (given, scored), sizes in windows(Tokens(turns, False, first), 1)]
    assert found == [
        ([1, 2], [3, 4, 5], [2, 1]),
        ([1, 2, 3, 4, 5, 6, 7], [8, 9, 10], [1, 2]),
        ([1, 2, 3, 4, 5, 6, 7, 9, 10], [11], [1]),
    ]


def test_lalp_of_a_teacher_is_the_mean_over_the_instructions_that_all_have(tmp_path):
    paths = []
    for teacher, steps, totals in (("one", [2, 4, 1], [-4.0, -4.0, -9.0]), ("two", [1, 1, None], [-1.0, -3.0, None])):
        rows = {"id": ["a", "b", "c"], "model": "m", "teacher": teacher, "n_steps": steps, "step_log_prob": totals}
        reason = pl.Series([None, None, "not_sampled" if None in steps else None], dtype=pl.String)
        paths.append(tmp_path / f"{teacher}.parquet")
        write_table(pl.DataFrame(rows | {"reason": reason}), paths[-1])
    found = scores_of_steps(paths, pl.DataFrame({"id": ["a", "b", "c"]}), ["one", "two"])
    assert found.rows() == [("one", 2, -1.5), ("two", 2, -2.0)]
    teachers = found.with_columns(n_gradients=pl.Series([5, 7]))
    expected = "g_norm, g_vendi and grace are from 5 to 7 sampled instructions. lalp is from 2 sampled instructions."
    assert sampled_in_words(teachers) == expected and sampled_in_words(found.select("teacher")) == ""


def test_the_planned_cost_counts_the_first_steps_once_and_a_window_for_each_further_one():
    planned = study()
    planned.config["lalp"] = {"n": 10, "steps_before": 4}
    cost = cost_of(planned, Job("score_lalp", {"base": "qwen2.5-1.5b"}, ["results/x/qwen2.5-7b-instruct.parquet"]))
    # of 500 tokens, 20 steps of 25: five after the prompt of 50, and 15 each after the prompt and four steps
    assert cost.tokens == 10 * (50 + 125 + 15 * (50 + 125)) and cost.flop == 2 * 1.5e9 * cost.tokens
    assert cost_of(planned, Job("mix_sampled_scores")) == Cost()
