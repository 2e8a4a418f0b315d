"""The plan of a study: Snakemake's own jobs, and costs that agree with what is known of the paper's experiment."""

import re
from datetime import datetime

import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.models.sizes import parameters_of
from scripts.plan.plan_costs import Cost, lacking
from scripts.plan.plan_study import by_rule, calibrated, calibration, done_at
from scripts.plan.planned_jobs import Study
from test_configs import plan as jobs_of


def planned(name, cwd=ROOT):
    """What `snakemake plan` prints of a configuration, and its lines by their first words."""
    done = snakemake("plan", "--cores", "1", "--configfile", f"config/{name}.yaml", cwd=cwd)
    assert done.returncode == 0, done.stdout[-3000:]
    said = done.stdout.split("What is left of")[1]
    rows = re.findall(
        r"^  (\w[\w ]*?) +(\d+) +([\d.]+) +(\d+) +(\d+) +([\d.]+) +(\d+) +(\S+) +(\S+)$", said, flags=re.M
    )
    return said, {row[0]: [float(cell) for cell in row[1:]] for row in rows}


def test_the_papers_experiment_costs_what_is_known_of_it():
    said, stages = planned("paper")
    hours = {stage: cells[4] for stage, cells in stages.items()}
    known = {
        "generate_responses": 123,
        "finetune": 139,
        "score_rewards": 71,
        "score_likelihoods": 48,
        "answer_benchmark": 4,
    }
    assert {stage: hours[stage] for stage in known} == pytest.approx(known, rel=0.1)
    assert stages["judge_pairs"][5] == pytest.approx(4839 * 100 / 95, rel=0.1)  # dollars; 95 pairs and GPT-4's five
    assert stages["finetune"][7] == pytest.approx(1.9e20 * 100 / 95, rel=0.15)  # FLOP
    assert stages["finetune"][:2] == [0, 0]  # which `rank` does not do
    assert "generate_responses llama-3.1-405b-instruct: " in said.split("The dearest jobs\n")[1].splitlines()[0]
    assert "Does not fit" not in said and "100000 instructions" in said


@pytest.mark.parametrize("name", ["paper", "paper-import", "single-gpu"])
def test_its_jobs_are_those_of_a_dry_run(name):
    _, stages = planned(name)
    for column, target in ((0, "rank"), (3, "all")):
        expected = jobs_of(name, target)
        assert stages["together"][column] == expected["total"]
        for stage in set(stages) & set(expected):
            assert stages[stage][column] == expected[stage], stage


def study(**plan):
    config = yaml.safe_load((ROOT / "config/single-gpu.yaml").read_text())
    defaults = {"gpu": "h100", "instructions": 100, "prompt_tokens": 50, "response_tokens": 500}
    config["plan"] = defaults | plan
    config["api"] = {"prices": {"m": {"input": 10, "output": 30}}}
    config["finetune"] |= {"epochs": 2}
    for entry in (*config["teachers"].values(), *config["bases"].values()):
        entry |= {"gpus": 1, "processes": 1, "fsdp": False}
    return Study(config | {"study": "nothing-there-yet"})


def test_a_jobs_cost_by_hand():
    got = study().cost({"rule": "finetune", "base": "qwen2.5-1.5b", "teacher": "qwen2.5-7b-instruct"})
    tokens = 2000 * (50 + 500) * 2
    assert (got.tokens, got.flop, got.bytes) == (tokens, 6 * 1.5e9 * tokens, 2 * 1.5e9)
    assert got.seconds == pytest.approx(60 + got.flop / (989e12 * 0.38))
    got = study(response_tokens=3000).cost({"rule": "generate_responses", "teacher": "qwen2.5-7b-instruct"})
    assert got.tokens == 2000 * (50 + 1024)  # no more than the sampling allows
    asked = study()
    asked.config["teachers"]["paid"] = {"model": "m", "engine": "openai", "sampling": {}}
    assert asked.cost({"rule": "generate_responses", "teacher": "paid"}).usd == 2000 * (50 * 10 + 500 * 30) / 1e6
    asked.config["teachers"]["paid"]["model"] = "dear"
    assert asked.cost({"rule": "generate_responses", "teacher": "paid"}).usd == 0
    assert "dear costs no dollars: `api.prices` does not have it" in asked.assumed
    assert study().cost({"rule": "rank_teachers"}) == Cost()


def test_what_does_not_fit_is_named():
    assert study().does_not_fit() == []
    lines = study(gpu="l4").does_not_fit()
    assert lines == []  # 0.5B in full precision, 1.5B by LoRA
    small = study(gpu="l4")
    del small.config["bases"]["qwen2.5-1.5b"]["lora"]
    assert small.does_not_fit() == [
        "fine-tuning qwen2.5-1.5b needs 24 GB, and 1 x l4 hold 22 a process: see fsdp and lora"
    ]
    shared = study(gpu="h100")  # 4.5 billion in four processes: 90 GB each with buffers of gradients, 18 GB with fsdp
    shared.config["bases"] = {"b": shared.config["bases"]["qwen2.5-0.5b"] | {"parameters": 4.5, "processes": 4}}
    assert shared.does_not_fit() == ["fine-tuning b needs 90 GB, and 1 x h100 hold 72 a process: see fsdp and lora"]
    shared.config["bases"]["b"]["fsdp"] = True
    assert shared.does_not_fit() == []
    assert lacking(810, 8, "h100") == "needs 810 GB, and 8 x h100 hold 576"


def test_timings_of_jobs_that_have_run_take_the_place_of_the_reckoning(tmp_path):
    job = {"rule": "finetune", "base": "qwen2.5-0.5b", "teacher": "qwen2.5-7b-instruct"}
    (tmp_path / "done.tsv").write_text(f"s\th:m:s\n{3 * study().cost(job).seconds}\t-\n")
    job["gpus"] = 1
    jobs = [job | {"timing": str(tmp_path / "done.tsv")}, job | {"timing": str(tmp_path / "not yet.tsv")}]
    speed = calibration(study(), jobs)
    assert speed == {"finetune": (pytest.approx(3), 1)}
    shared = [jobs[0] | {"gpus": 4}]  # so many seconds of each of four
    assert calibration(study(), shared) == {"finetune": (pytest.approx(12), 1)}
    assert calibrated(study(), job, speed).seconds == pytest.approx(3 * study().cost(job).seconds)
    assert by_rule([(job, Cost(usd=1)), (job, Cost(usd=2))])["finetune"] == (2, Cost(usd=3))


def test_when_it_will_be_done_is_told_for_one_gpu_once_jobs_have_run():
    told = done_at("all", 5.5 * 3600, datetime(2030, 1, 31, 22, 45))
    assert told == "ETA: all is done in 5.5 hours with one GPU, 2030-02-01 04:15; with n, in 1/n of them"


@pytest.mark.parametrize(
    "name, size",
    [
        ("Qwen/Qwen2.5-72B-Instruct", 72e9),
        ("google/gemma-2-27b-it", 27e9),
        ("nvidia/Llama-3.1-Minitron-4B-Width-Base", 4e9),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", 360e6),
        ("Skywork/Skywork-Reward-V2-Qwen3-0.6B", 0.6e9),
        ("microsoft/Phi-3-mini-128k-instruct", None),
        ("openai-community/gpt2", None),
    ],
)
def test_a_models_size_is_told_by_its_name_or_not_at_all(name, size):
    assert parameters_of({"model": name}) == size
    assert parameters_of({"model": name, "parameters": 3.8}) == 3.8e9


def test_a_local_model_is_counted(tiny):
    from transformers import AutoModelForCausalLM

    assert parameters_of({"model": str(tiny)}) == AutoModelForCausalLM.from_pretrained(tiny).num_parameters()


@pytest.mark.study
def test_of_a_finished_study_nothing_is_left_and_its_lengths_are_real(study_copy):
    done = snakemake("plan", "--cores", "1", cwd=study_copy)
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.search(r"together +\d +0.00 +0 +0 +0.00", done.stdout)  # but for the page of the ranking
    assert "Measured: finetune takes" in done.stdout and "in 14 jobs that have run" in done.stdout
    assert "ETA: all is done in 0.0 hours" in done.stdout
