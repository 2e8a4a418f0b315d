"""lm-evaluation-harness itself, in its own environment: its numbers on own tasks equal those of a plain computation."""

import json
import os
import subprocess

import polars as pl
import pytest
import yaml

from conftest import ROOT

PYTHON = ROOT / ".venv-lm-eval/bin/python"
MISSING = "no .venv-lm-eval: make .venv-lm-eval/installed"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON.with_name("lm_eval").exists(), reason=MISSING)]
CHOICES = [{"question": f"Number {i}?", "choices": ["one", "two", "six"], "answer": i % 3} for i in range(8)]
QUESTIONS = [f"Say {i}." for i in range(6)]
MAX_NEW_TOKENS = 12


@pytest.fixture(scope="module")
def model(tiny):
    """The tiny model and its tokenizer, with the chat template, and the answers of plain greedy decoding."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = (ROOT / "config/templates/plain.jinja").read_text(encoding="utf-8")
    network = AutoModelForCausalLM.from_pretrained(tiny)

    def asked(question):
        messages = [{"role": "user", "content": question}]
        return tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )

    def answer(question):
        ids = asked(question)["input_ids"]
        for _ in range(MAX_NEW_TOKENS):
            with torch.no_grad():
                found = network(ids).logits[0, -1].argmax().reshape(1, 1)
            if found.item() == tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, found], dim=1)
        return tokenizer.decode(ids[0, asked(question)["input_ids"].shape[1] :], skip_special_tokens=True)

    def likelihood(question, text):
        """Of the choice and the line break before it, which lm_eval counts as a part of the choice."""
        prompt = tokenizer.decode(asked(question)["input_ids"][0])
        start, ids = (
            tokenizer(part, add_special_tokens=False, return_tensors="pt")["input_ids"]
            for part in (prompt.rstrip("\n"), prompt + text)
        )
        assert prompt.endswith(":\n") and ids[0, : start.shape[1]].tolist() == start[0].tolist()
        with torch.no_grad():
            logprobs = network(ids).logits[0].log_softmax(-1)
        return sum(logprobs[i - 1, ids[0, i]].item() for i in range(start.shape[1], ids.shape[1]))

    return tokenizer, answer, likelihood


@pytest.fixture(scope="module")
def evaluated(model, tiny, tmp_path_factory):
    """The numbers and samples of lm_eval on own tasks, the answers expected, the folder, and what both runs printed."""
    tokenizer, answer, _ = model
    folder = tmp_path_factory.mktemp("tasks")
    checkpoint, tasks = folder / "checkpoint", folder / "tasks"
    subprocess.run(["cp", "-r", tiny, checkpoint], check=True)
    tokenizer.save_pretrained(checkpoint)
    tasks.mkdir()
    end = answer(QUESTIONS[0])[3]  # a character of the first answer ends its thinking
    cut = [answer(question).split(end)[-1].lstrip() for question in QUESTIONS]
    words = [{"question": QUESTIONS[i], "reference": cut[i] if i < 2 else "no"} for i in range(len(QUESTIONS))]
    own = {
        "own_choice": {
            "output_type": "multiple_choice",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "answer",
            "metric_list": [{"metric": "acc"}],
        },
        "own_words": {
            "output_type": "generate_until",
            "generation_kwargs": {"until": [], "do_sample": False},
            "doc_to_target": "reference",
            "metric_list": [{"metric": "exact_match"}],
            "filter_list": [{"name": "whole", "filter": [{"function": "take_first"}]}],
        },
    }
    for (name, config), rows in zip(own.items(), (CHOICES, words), strict=True):
        (tasks / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        config |= {"task": name, "dataset_path": "json", "test_split": "test", "doc_to_text": "{{question}}"}
        config |= {"dataset_kwargs": {"data_files": {"test": str(tasks / f"{name}.jsonl")}}}
        (tasks / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    group = {"group": "own_group", "task": ["own_choice"], "aggregate_metric_list": [{"metric": "acc"}]}
    (tasks / "group.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    lost = own["own_choice"] | {
        "task": "own_lost",
        "dataset_kwargs": {"data_files": {"test": str(tasks / "lost.json")}},
    }
    (tasks / "lost.yaml").write_text(yaml.safe_dump(lost), encoding="utf-8")
    settings = {"include_path": str(tasks), "think_end": end, "max_new_tokens": MAX_NEW_TOKENS}
    names = ["own_lost", "own_choice", "own_words", "own_group"]
    arguments = {
        "settings": [json.dumps(settings | {"tasks": names})],
        "model": [json.dumps({"model": str(checkpoint), "engine": "transformers"})],
        "store": [folder / "rows"],
        "samples": [folder / "samples.parquet"],
        "output": [folder / "numbers.json"],
    }
    failed = run("evaluate_tasks", folder, status=1, **arguments)
    assert not (folder / "numbers.json").exists()
    again = run("evaluate_tasks", folder, **arguments | {"settings": [json.dumps(settings | {"tasks": names[1:]})]})
    numbers = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    return numbers["tasks"], pl.read_parquet(folder / "samples.parquet"), cut, tasks, failed + again


def run(script, folder, status=0, **arguments):
    """Run a script of lm_eval's environment, and return what it printed."""
    command = [str(PYTHON), "-m", f"scripts.tasks.{script}"]
    command += [str(part) for name, values in arguments.items() for part in (f"--{name}", *values)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert done.returncode == status, done.stdout[-3000:]
    return done.stdout


def test_the_accuracy_of_choices_is_that_of_plain_likelihoods(evaluated, model):
    tasks, samples, *_ = evaluated
    likelihood = model[2]
    likelihoods = [[likelihood(row["question"], text) for text in row["choices"]] for row in CHOICES]
    right = [found.index(max(found)) == row["answer"] for found, row in zip(likelihoods, CHOICES, strict=True)]
    share, n = sum(right) / len(right), len(right)
    assert 0 < share < 1
    found = tasks["own_choice"]["results"]["own_choice"]
    assert found["acc,none"] == share
    assert found["acc_stderr,none"] == pytest.approx((share * (1 - share) / (n - 1)) ** 0.5)
    assert tasks["own_group"]["results"]["own_group"]["acc,none"] == share
    stored = samples.filter(task="own_choice")["answer"].head(n)
    logprobs = [[choice[0] for choice in json.loads(row)] for row in stored]
    assert [x for row in logprobs for x in row] == pytest.approx([x for row in likelihoods for x in row], abs=1e-3)


def test_generated_answers_are_greedy_and_without_thinking(evaluated):
    tasks, samples, cut, *_ = evaluated
    answers = [json.loads(row)[0] for row in samples.filter(task="own_words")["answer"]]
    assert answers == cut
    found = tasks["own_words"]["results"]["own_words"]
    assert found["exact_match,whole"] == pytest.approx(2 / 6)
    assert found["exact_match_stderr,whole"] == pytest.approx((2 / 6 * 4 / 6 / 5) ** 0.5)


def test_a_task_without_its_data_fails_alone_and_the_next_run_finds_the_others_stored(evaluated):
    printed = evaluated[-1]
    assert "1 of 4 rows failed; the next run repeats only these: 1 x own_lost: FileNotFoundError: " in printed
    assert "0 of 4 rows found" in printed and "3 of 3 rows found" in printed


def test_the_check_finds_tasks_and_scores_that_do_not_exist_and_those_that_run_code(evaluated, tmp_path):
    wrong = ["gsm8kk", "humaneval", "mmlu_stem_tasks"]
    benchmarks = {
        "k": {"tasks": ["own_choice", "gsm8k", "mmlu"], "include_path": str(evaluated[3])},
        "wrong": {"tasks": wrong, "include_path": str(evaluated[3])},
    }
    ap = ["k.own_choice:acc", "k.gsm8k:exact_match:strict-match", "k.mmlu:acc", "k.mmlu:accuracy"]
    arguments = {"benchmarks": [json.dumps(benchmarks)], "ap": ap, "output": [tmp_path / "tasks.json"]}
    lines = run("check_tasks", tmp_path, status=1, **arguments).strip().splitlines()
    assert lines[0] == "ap: there is no score k.mmlu:accuracy; the task has k.mmlu:acc"
    assert lines[1].startswith("benchmarks.wrong.tasks: there is no task gsm8kk (did you mean gsm8k?)")
    assert "humaneval runs code that the model writes" in lines[2] and "name them: mmlu_abstract_algebra" in lines[3]
    assert len(lines) == 4
