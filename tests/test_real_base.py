"""The workflow on a real pretrained base: every number equals that of a plain computation, one row at a time."""

import csv
import json
import math
import re
import shutil
from functools import cache

import polars as pl
import pytest
import torch
import yaml
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from conftest import ROOT, link_workflow, make_parent, snakemake
from costly_outputs import run
from real_models import gemma
from scripts.finetuning.sft_examples import encode_examples
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

pytestmark = pytest.mark.slow

BOS, EOS = "<bos>", "<eos>"
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "Egypt": "Cairo", "Kenya": "Nairobi",
    "Norway": "Oslo", "Peru": "Lima", "Iraq": "Baghdad", "India": "New Delhi", "China": "Beijing", "Nepal": "Kathmandu",
}  # fmt: skip
HELD_OUT = {
    "Germany": "Berlin", "Russia": "Moscow", "Portugal": "Lisbon", "Denmark": "Copenhagen", "Turkey": "Ankara",
    "Thailand": "Bangkok", "Belgium": "Brussels", "Argentina": "Buenos Aires",
}  # fmt: skip
LONG = (
    "The capital of {0} is {1}. The government, the parliament and most national offices of {0} are in {1}, and it is "
    "the city that many visitors of the country see first."
)
# texts whose tokens depend on the text before them; the first has more tokens than Gemma's sliding window
FORMS = [
    "\n".join(f"{i} times {i} is {i * i}." for i in range(1, 46)),
    "{1} 🙂",
    "首都是{1}。",
    "```python\ncapital = '{1}'\n```",
    "1. {1}\n\n2. not {0}\n",
    "<table><td>{1}</td></table>",
    "    {1}  ",
    "\n{1}",
]
RESPONSES = {
    "short": ["{1}"] * len(CAPITALS),
    "long": [LONG] * len(CAPITALS),
    "mixed": [FORMS[0], *(FORMS[1 + i % 7] for i in range(1, len(CAPITALS)))],
}
REWARD = {"short": 0.4, "long": 0.5, "mixed": -0.1}
QUESTION = "What is the capital of {0}?"
PATTERN = r"^(.+?)\.?$"
BASELINE = ["Berlin", "Berlin", "Lisbon", "Lisbon.", "Istanbul", "Bangkok", "", "Lima"]  # three right answers


def texts(teacher):
    """(question, response) of a teacher, in the order of CAPITALS."""
    return [
        (QUESTION.format(*pair), form.format(*pair))
        for pair, form in zip(CAPITALS.items(), RESPONSES[teacher], strict=True)
    ]


def configuration(model):
    imported = {
        teacher: {
            "import": {
                "path": f"{teacher}.jsonl",
                "columns": {"instruction": "question", "response": "answer"},
                "rewards": {"given": "reward"},
            }
        }
        for teacher in RESPONSES
    }
    return {
        "study": "gemma",
        "instructions": {"path": "questions.jsonl", "columns": {"instruction": "question"}},
        "teachers": imported,
        "bases": {"gemma": {"model": str(model), "chat_template": "config/templates/plain.jinja", "gpus": 0}},
        "reward_models": {"given": {"model": "none/given"}},
        "likelihoods": {"per_token": True, "batch_tokens": 1400},
        "finetune": {
            "epochs": 2,
            "warmup_steps": 0,
            "batch_size": len(CAPITALS),
            "micro_batch_size": len(CAPITALS),
            "max_length": 512,
            "gradient_checkpointing": False,
        },
        "benchmarks": {
            "held_out": {
                "prompts": {"path": "held_out.jsonl", "columns": {"instruction": "question", "reference": "answer"}},
                "protocol": "exact",
                "answer_pattern": PATTERN,
                "baseline_answers": {
                    "path": "held_out.jsonl",
                    "columns": {"instruction": "question", "response": "baseline"},
                },
                "sampling": {"max_new_tokens": 8},
            }
        },
        "ap": ["held_out.wr"],
        "car": {"reward_model": "given"},
    }


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def score_one_pair(results):
    """The judgments and the score of one pair, as their rules make them of all pairs: the others would be trained."""
    files = {name: results / f"{name}/held_out/gemma/short.parquet" for name in ("answers", "judgments")}
    score = make_parent(results / "scores/held_out/gemma/short.json")
    make_parent(files["judgments"])
    exact = {"recipe": None, "answer_pattern": PATTERN, "reference_pattern": None}
    exact |= {"ignore_case": False, "numeric": False}
    tables = {"prompts": results / "prompts/held_out.parquet", "baseline": results / "baselines/held_out.parquet"}
    run("scripts.judgments.judge_exact", spec=exact, answers=files["answers"], outputs=files["judgments"], **tables)
    names = {"benchmark": "held_out", "pairs": "gemma/short", "baseline": "held_out.jsonl", "judge": "exact"}
    run("scripts.scores.score_judgments", judgments=files["judgments"], outputs=score, **names)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of `rank`, and of one fine-tuning and one benchmark, in a folder of their own."""
    model, root = gemma(), link_workflow(tmp_path_factory.mktemp("gemma"))
    write_lines(root / "questions.jsonl", [{"question": question} for question, _ in texts("short")])
    for teacher in RESPONSES:
        rows = [
            {"question": question, "answer": answer, "reward": REWARD[teacher] + i / 100}
            for i, (question, answer) in enumerate(texts(teacher))
        ]
        write_lines(root / f"{teacher}.jsonl", rows)
    held_out = zip(HELD_OUT.items(), BASELINE, strict=True)
    rows = [{"question": QUESTION.format(*pair), "answer": pair[1], "baseline": text} for pair, text in held_out]
    write_lines(root / "held_out.jsonl", rows)
    (root / "gemma.yaml").write_text(yaml.safe_dump(configuration(model)), encoding="utf-8")
    answers, baseline = "results/gemma/answers/held_out/gemma/short.parquet", "results/gemma/baselines/held_out.parquet"
    done = snakemake("rank", answers, baseline, "--cores", "2", "--configfile", "gemma.yaml", cwd=root)
    assert done.returncode == 0, done.stdout[-5000:]
    score_one_pair(root / "results/gemma")
    yield root / "results/gemma"
    shutil.rmtree(root / "results/gemma/checkpoints")


@cache
def tokenizer():
    return Tokenizer.from_file(str(gemma() / "tokenizer.json"))


@cache
def chat():
    return Chat(load_tokenizer(str(gemma()), chat_template=str(ROOT / "config/templates/plain.jinja")))


@cache
def base():
    return AutoModelForCausalLM.from_pretrained(gemma(), dtype=torch.float32).eval()


def ids_of(text):
    return tokenizer().encode(text, add_special_tokens=False).ids


def plain_ids(question, response):
    """Ids of prompt, response and end of turn: the tokens of the whole text, cut where the response begins.

    Only where one token has characters of both, the response has the tokens that it has alone.
    """
    prompt = f"{BOS}Question: {question}\nAnswer:\n"
    whole = tokenizer().encode(f"{prompt}{response}{EOS}", add_special_tokens=False)
    ends = [end for _, end in whole.offsets]
    if len(prompt) not in ends:
        return ids_of(prompt), ids_of(response), ids_of(EOS)
    cut = ends.index(len(prompt)) + 1
    return whole.ids[:cut], whole.ids[cut:-1], whole.ids[-1:]


@torch.no_grad()
def plain_scores(context, targets):
    """nll and rank of each target after the context, entropy and Brier score of its prediction, by one forward pass."""
    logits = base()(torch.tensor([context + targets])).logits[0, len(context) - 1 : -1].double()
    nll = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="none")
    rank = (logits > logits.gather(1, torch.tensor(targets)[:, None])).sum(1) + 1
    p, (top, which) = logits.softmax(-1), logits.topk(50)
    hit = which == torch.tensor(targets)[:, None]
    brier = (top.softmax(-1) - hit.double()).square().sum(1) + (~hit.any(1)).double()
    return nll, rank.clamp(max=100), -(p * p.log()).sum(1), brier


@cache
def plain(teacher):
    """What each row of a teacher should have."""
    rows = []
    for question, response in texts(teacher):
        prompt, text, end = plain_ids(question, response)
        nll, rank, entropy, brier = plain_scores(prompt, text + end)
        direct, *_ = plain_scores([tokenizer().token_to_id(BOS)], text)
        own = nll[:-1].mean().item()
        rows.append(
            {
                "response_length": len(text),
                "loss": nll.mean().item(),
                "loss_without_end": own,
                "ppl_self": math.exp(own),
                "ifd_self": math.exp(own - direct.mean().item()),
                "rsr": (rank[:-1].sum() / nll[:-1].sum()).item(),
                "entropy": entropy[:-1].mean().item(),
                "brier": brier.mean().item(),
                "token_nll": nll,
                "token_rank": rank,
                "direct_token_nll": direct,
            }
        )
    return rows


def table_of(results, kind, teacher):
    """The rows of a table of one teacher, in the order of CAPITALS."""
    questions = [question for question, _ in texts(teacher)]
    instructions = pl.read_parquet(results / "instructions.parquet").select("id", "instruction")
    joined = pl.read_parquet(results / kind / f"gemma/{teacher}.parquet").join(instructions, on="id")
    assert sorted(joined["instruction"]) == sorted(questions)
    return sorted(joined.to_dicts(), key=lambda row: questions.index(row["instruction"]))


@pytest.mark.parametrize("teacher", RESPONSES)
def test_ids_are_those_of_the_whole_text_with_one_start_of_text(teacher):
    questions, responses = zip(*texts(teacher), strict=True)
    pairs = {"instruction": questions, "response": responses, "finish_reason": "stop", "reason": None}
    examples, _ = encode_examples(chat(), pl.DataFrame(pairs), max_length=2048)
    apart = 0
    for question, response, example in zip(questions, responses, examples, strict=True):
        prompt, text, end = plain_ids(question, response)
        assert example["input_ids"] == prompt + text + end and example["labels"] == [-100] * len(prompt) + text + end
        assert example["input_ids"].count(tokenizer().token_to_id(BOS)) == 1
        apart += example["input_ids"] != ids_of(f"{BOS}Question: {question}\nAnswer:\n{response}{EOS}")
    assert apart == sum(response.startswith("\n") for response in responses)


@pytest.mark.parametrize("teacher", RESPONSES)
def test_each_token_has_the_nll_and_rank_of_a_plain_forward_pass(results, teacher):
    for row, expected in zip(table_of(results, "likelihoods", teacher), plain(teacher), strict=True):
        assert row["token_nll"] == pytest.approx(expected["token_nll"].tolist(), rel=1e-3, abs=1e-3)
        assert row["direct_token_nll"] == pytest.approx(expected["direct_token_nll"].tolist(), rel=1e-3, abs=1e-3)
        difference = torch.tensor(row["token_rank"]).long() - expected["token_rank"]
        assert difference.abs().max() <= 1, row["instruction"]  # rounding exchanges neighbors among 262,144
    log = (results / "logs/score_likelihoods/gemma.log").read_text(encoding="utf-8")
    assert "one row at a time" not in log


@pytest.mark.parametrize("teacher", RESPONSES)
def test_each_row_has_the_metrics_of_a_plain_computation(results, teacher):
    for row, expected in zip(table_of(results, "metrics", teacher), plain(teacher), strict=True):
        names = [name for name in expected if "token" not in name]
        assert [row[name] for name in names] == pytest.approx([expected[name] for name in names], rel=1e-3)


def test_the_ranking_is_that_of_the_mean_reward_over_one_plus_the_mean_loss(results):
    with open(results / "tables/teachers.csv", encoding="utf-8") as file:
        table = {row["teacher"]: row for row in csv.DictReader(file)}
    n, car = len(CAPITALS), {}
    for teacher, row in table.items():
        loss = sum(expected["loss"] for expected in plain(teacher)) / n
        reward = REWARD[teacher] + sum(range(n)) / n / 100
        car[teacher] = reward / (1 + loss)
        assert float(row["loss"]) == pytest.approx(loss, rel=1e-4)
        assert float(row["car"]) == pytest.approx(car[teacher], rel=1e-4)
    assert sorted(table, key=lambda teacher: int(table[teacher]["rank"])) == sorted(car, key=car.get, reverse=True)


def test_fine_tuning_begins_at_the_loss_of_the_base_and_lowers_it(results):
    facts = json.loads((results / "checkpoints/gemma/short/manifest.json").read_text(encoding="utf-8"))
    nll = torch.cat([expected["token_nll"] for expected in plain("short")])
    assert facts["n_examples"] == len(CAPITALS) and facts["steps"] == 2
    assert facts["first_loss"] == pytest.approx(nll.mean().item(), rel=1e-4)  # a step has all examples
    assert facts["last_loss"] < facts["first_loss"]


@torch.no_grad()
def plain_answer(model, question):
    """Greedy decoding without a cache: the most likely token after the whole text, up to eight times."""
    ids = ids_of(f"{BOS}Question: {question}\nAnswer:\n")
    start = len(ids)
    while len(ids) < start + 8:
        ids.append(model(torch.tensor([ids])).logits[0, -1].argmax().item())
        if ids[-1] == tokenizer().token_to_id(EOS):
            return tokenizer().decode(ids[start:-1]), "stop"
    return tokenizer().decode(ids[start:]), "length"


def test_the_fine_tuned_base_answers_as_plain_greedy_decoding_does_and_is_judged_by_hand(results):
    model = AutoModelForCausalLM.from_pretrained(results / "checkpoints/gemma/short", dtype=torch.float32).eval()
    answers = pl.read_parquet(results / "answers/held_out/gemma/short.parquet")
    prompts = pl.read_parquet(results / "prompts/held_out.parquet").select("id", "instruction")
    rows = {row["instruction"]: row for row in answers.join(prompts, on="id").to_dicts()}
    right, wins = [], []
    for (country, capital), baseline in zip(HELD_OUT.items(), BASELINE, strict=True):
        row = rows[QUESTION.format(country)]
        assert (row["answer"], row["finish_reason"]) == plain_answer(model, row["instruction"])
        right.append(bool(re.fullmatch(rf" *{capital}\.? *\n?", row["answer"])))
        wins.append((1 + right[-1] - (baseline.removesuffix(".") == capital)) / 2)
    score = json.loads((results / "scores/held_out/gemma/short.json").read_text(encoding="utf-8"))
    assert score["accuracy"]["value"] == pytest.approx(100 * sum(right) / len(HELD_OUT))
    assert score["wr"]["value"] == pytest.approx(100 * sum(wins) / len(HELD_OUT))
