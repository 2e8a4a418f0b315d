"""The plan of a study: its jobs are Snakemake's, its costs agree with the published ones of the paper's experiment."""

import inspect
import re
from dataclasses import replace
from datetime import datetime
from functools import cache

import polars as pl
import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.configuration.protocols import PROTOCOLS
from scripts.models.sizes import parameters_of
from scripts.plan.dry_run import Job, dry_runs
from scripts.plan.gpu_memory import models_that_do_not_fit
from scripts.plan.plan_costs import MODEL_START, Cost
from scripts.plan.plan_study import by_rule, completion, corrected_cost, measured_ratios, with_every_pilot
from scripts.plan.planned_jobs import COSTS, cost_of
from scripts.plan.study_sizes import Study
from test_configs import jobs_of


@cache
def planned(name, *options):
    """The output of `snakemake plan` for a configuration, and the numbers of its table by the first words of a line."""
    done = snakemake("plan", "--cores", "1", "--configfile", f"config/{name}.yaml", *options, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
    text = done.stdout.split("What is left of")[1]
    rows = re.findall(
        r"^  (\w[\w ]*?) +(\d+) +([\d.]+) +(\d+) +(\d+) +([\d.]+) +(\d+) +(\S+) +(\S+)$", text, flags=re.M
    )
    return text, {row[0]: [float(cell) for cell in row[1:]] for row in rows}


def test_the_papers_experiment_has_its_published_costs():
    text, stages = planned("paper")
    hours = {stage: cells[4] for stage, cells in stages.items()}
    published = {
        "generate_responses": 123,
        "finetune": 139,
        "score_rewards": 71,
        "score_likelihoods": 48,
    }
    assert {stage: hours[stage] for stage in published} == pytest.approx(published, rel=0.1)
    starts = 95 * MODEL_START / 3600  # the published 4 hours were with a start for each of the two benchmarks
    assert hours["answer_benchmark"] + starts == pytest.approx(4, abs=0.5)
    assert stages["judge_pairs"][6] == pytest.approx(351e6, rel=0.1)  # tokens of 95 pairs
    assert stages["finetune"][7] == pytest.approx(1.9e20, rel=0.15)  # FLOP
    assert stages["total"][5] == 0  # dollars: every model is open
    assert stages["finetune"][:2] == [0, 0]  # `rank` does not fine-tune
    assert "generate_responses llama-3.1-405b-instruct: " in text.split("Most expensive jobs\n")[1].splitlines()[0]
    assert "Does not fit" not in text and "Assumed: instructions = 100000; " in text


@pytest.mark.parametrize("name", ["paper", "paper-import", "single-gpu"])
def test_the_planned_jobs_are_those_of_a_dry_run(name):
    _, stages = planned(name)
    for column, target in ((0, "rank"), (3, "all")):
        expected = jobs_of(name, target)
        assert stages["total"][column] == expected["total"]
        for stage in set(stages) & set(expected):
            assert stages[stage][column] == expected[stage], stage


def test_the_plan_follows_options_of_the_command_line():
    teacher = "teachers={extra: {family: qwen, model: Qwen/Qwen2.5-3B-Instruct}}"
    _, stages = planned("single-gpu", "--config", teacher)
    assert stages["generate_responses"][0] == 7  # the file has six teachers
    assert stages["finetune"][3] == 14


@pytest.mark.slow
def test_the_plan_shows_pilots_beside_the_ranking_and_the_study():
    """All pilots of four teachers, two bases, two sizes and two seeds, as if nobody left the race."""
    text = planned("single-gpu", "--config", "pilots={sizes: [250, 1000], score: gsm8k.accuracy, target: 50000}")[0]
    table = [line.split() for line in text.split("Pilots alone")[0].splitlines() if line.startswith("  ")]
    rows = {name: cells for name, *cells in table}
    assert rows["rank"] == ["pilots", "all"]
    assert [rows["finetune_pilot"][column] for column in (0, 3, 6)] == ["0", "32", "0"]
    assert [rows["answer_pilot"][column] for column in (0, 3, 6)] == ["0", "32", "0"]
    assert [rows["finetune"][column] for column in (0, 3, 6)] == ["0", "0", "12"]
    examples = 2 * 2 * 4 * (250 + 1000)  # of both bases
    assert float(rows["finetune_pilot"][9]) == pytest.approx(examples * (50 + 500) * 2, rel=0.05)  # tokens
    assert "teachers of the pilots = phi-3.5-mini-instruct, " in text
    assert re.search(
        r"^Pilots alone: [\d.]+ GPU-hours, [\d.]+% of what is left of `all`, if no teacher", text, flags=re.M
    )


def test_a_race_is_planned_with_all_of_its_pilots_and_with_the_chosen_teachers_once_they_are_known(tmp_path):
    sized = study()
    assert with_every_pilot(sized) is sized.config
    sized.config["pilots"] = {"teachers": 2, "race": True, "sizes": [1, 2]}
    for entry in sized.config["teachers"].values():
        entry.setdefault("compare", True)
    assert with_every_pilot(sized)["pilots"]["teachers"] == ["phi-3.5-mini-instruct", "qwen2.5-0.5b-instruct"]
    sized.results = tmp_path
    for base in sized.config["bases"]:
        (tmp_path / "pilots" / base).mkdir(parents=True)
        (tmp_path / "pilots" / base / "teachers.json").touch()
    assert with_every_pilot(sized)["pilots"] == {"teachers": 2, "race": False, "sizes": [1, 2]}
    assert sized.config["pilots"]["race"]


def test_the_cost_of_a_pilot_by_hand():
    piloted = study()
    piloted.config["pilots"] = {"score": "gsm8k.accuracy"}
    wildcards = {"base": "qwen2.5-1.5b", "teacher": "qwen2.5-7b-instruct", "run": "@n250s1"}
    assert cost_of(piloted, Job("finetune_pilot", wildcards)).tokens == 250 * (50 + 500) * 2
    assert cost_of(piloted, Job("answer_pilot", wildcards)).tokens == piloted.prompts("gsm8k") * (50 + 500)


def test_a_dry_run_that_fails_ends_with_snakemakes_message(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    with pytest.raises(SystemExit, match="MissingRuleException"):
        dry_runs(config, [["no_such_target"]])


def test_every_rule_with_a_cost_exists_and_its_function_reads_wildcards_of_its_jobs():
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    for rule, function in COSTS.items():
        (timing,) = re.findall(rf'"<results>/timings/{rule}/(.*).tsv"', rules)
        read = re.findall(r'job.wildcards\["(\w+)"\]', inspect.getsource(function))
        assert read and set(read) <= set(re.findall(r"{(\w+)}", timing)), rule


def test_a_job_of_several_teachers_or_pairs_costs_the_sum_of_their_rows_and_one_start():
    outputs = [f"results/x/{name}.parquet" for name in ("qwen2.5-7b-instruct", "qwen2.5-1.5b-instruct")]
    job = Job("score_likelihoods", {"base": "qwen2.5-1.5b"}, outputs)
    cost = cost_of(study(), job)
    assert cost.tokens == 2 * 2000 * (50 + 500 + 500)
    assert cost.seconds == pytest.approx(60 + 2 * 1.5e9 * cost.tokens / (989e12 * 0.35))


def study(**plan):
    config = yaml.safe_load((ROOT / "config/single-gpu.yaml").read_text())
    defaults = {"gpu": "h100", "instructions": 100, "prompt_tokens": 50, "response_tokens": 500}
    defaults |= {"thinking_tokens": 4000}
    config["plan"] = defaults | plan
    config["api"] = {"prices": {"m": {"input": 10, "output": 30}}}
    config["finetune"] |= {"epochs": 2}
    for section in ("teachers", "bases", "reward_models", "reference_models", "judges"):
        for entry in config.setdefault(section, {}).values():
            entry |= {"gpus": 1, "processes": 1, "fsdp": False}
    return Study(config | {"study": "nothing-there-yet", "compare": "paired"})


def test_the_cost_of_a_job_by_hand():
    job = Job("finetune", {"base": "qwen2.5-1.5b", "teacher": "qwen2.5-7b-instruct"})
    cost = cost_of(study(), job)
    tokens = 2000 * (50 + 500) * 2
    assert (cost.tokens, cost.flop, cost.bytes) == (tokens, 6 * 1.5e9 * tokens, 2 * 1.5e9)
    assert cost.seconds == pytest.approx(60 + cost.flop / (989e12 * 0.38))
    sampled, names = study(), ("qwen2.5-7b-instruct", "qwen2.5-1.5b-instruct")
    job = Job("score_gradients", {"base": "qwen2.5-1.5b"}, [f"results/x/{name}.parquet" for name in names])
    for section, flop in (({"n": 512, "lora": False}, 6), ({"n": 9999, "lora": True}, 4)):
        sampled.config["gradients"], rows = section, 2 * min(section["n"], 2000)
        cost = cost_of(sampled, job)
        assert (cost.tokens, cost.flop) == (rows * 550, flop * 1.5e9 * rows * 550)
        assert cost.bytes == rows * 512 * (8 + 4)
    job = Job("generate_responses", {"teacher": "qwen2.5-7b-instruct"})
    assert cost_of(study(response_tokens=3000), job).tokens == 2000 * (50 + 1024)  # the limit of its sampling
    assert cost_of(study(), Job("rank_teachers")) == Cost()


def test_thinking_is_written_by_every_model_that_thinks_and_read_where_it_is_kept():
    base = {"base": "qwen2.5-1.5b", "teacher": "thinker"}
    for mode, read in (("strip", 500), ("keep", 4500), ("separate", 4500)):
        thinking = study()
        thinking.config["teachers"]["thinker"] = {"model": "m", "engine": "openai", "sampling": {}, "reasoning": mode}
        cost = cost_of(thinking, Job("generate_responses", {"teacher": "thinker"}))
        assert cost.usd == 2000 * (50 * 10 + 4500 * 30) / 1e6 and cost.bytes == 2000 * 4500 * 8
        assert cost_of(thinking, Job("finetune", base)).tokens == 2000 * (50 + read) * 2
        prompts = sum(thinking.prompts(name) for name in thinking.config["benchmarks"])
        assert cost_of(thinking, Job("answer_benchmark", base)).tokens == prompts * (50 + min(read, 1024))
        assert "tokens of thinking = 4000" in thinking.assumed
        thinking.config["teachers"]["thinker"]["sampling"] = {"max_new_tokens": 2000}
        assert thinking.written_tokens("thinker") == 2000


def test_measured_thinking_replaces_the_assumption(tmp_path):
    (tmp_path / "responses").mkdir()
    rows = pl.DataFrame({"n_tokens": [100, 300, 200], "n_thinking_tokens": [80, None, 150]})
    rows.write_parquet(tmp_path / "responses/t.parquet")
    for mode, written, read in (("strip", 200, 370 / 3), ("keep", 200, 200), (None, 200, 370 / 3)):
        measured = study()
        measured.results = tmp_path
        measured.config["teachers"]["t"] = {"model": "m", "sampling": {}} | ({"reasoning": mode} if mode else {})
        assert measured.written_tokens("t") == written and measured.response_tokens("t") == pytest.approx(read)
        assert not measured.assumed


def test_the_cost_of_an_endpoint_is_its_price_times_the_tokens_read_and_written():
    job, priced = Job("generate_responses", {"teacher": "paid"}), study()
    priced.config["teachers"]["paid"] = {"model": "m", "engine": "openai", "sampling": {}}
    assert cost_of(priced, job).usd == 2000 * (50 * 10 + 500 * 30) / 1e6
    priced.config["teachers"]["paid"]["openai"] = {"batch": True}
    assert cost_of(priced, job).usd == 2000 * (50 * 10 + 500 * 30) / 1e6 / 2
    priced.config["teachers"]["paid"]["model"] = "unknown"
    assert cost_of(priced, job).usd == 0
    assert "price of unknown = 0 (it is not in `api.prices`)" in priced.assumed


def test_instructions_and_prompts_of_a_local_file_are_counted(tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"q": "one"}\n{"q": "two"}\n{"q": "three"}\n')
    own = study()
    source = {"path": str(tmp_path / "mine.jsonl"), "columns": {"instruction": "q"}, "n": None}
    own.config["instructions"] = source
    (name,) = own.config["benchmarks"]
    own.config["benchmarks"][name]["prompts"] = source | {"n": 2}
    assert (own.instructions("qwen2.5-7b-instruct"), own.prompts(name)) == (3, 2)
    assert not [text for text in own.assumed if "instructions" in text or "prompts" in text]
    own.config["instructions"] = source | {"path": str(tmp_path / "not-made-yet.jsonl")}
    assert own.instructions("qwen2.5-7b-instruct") == 100 and "instructions = 100" in own.assumed


def test_each_turn_of_a_prompt_is_answered_and_graded(tmp_path):
    turns = study()
    turns.config["judges"]["m"] = {"model": "m", "engine": "openai"}
    prompts = {"path": "not-there-yet.jsonl", "columns": {"user_turns": "turns"}, "n": None}
    mt_bench = {"prompts": prompts, "protocol": "grade", "judge": "m", "sampling": {"max_new_tokens": 300}}
    turns.config["benchmarks"] = {"mt_bench": mt_bench}
    judging = Job("judge_grades", {"benchmark": "mt_bench"}, ["x/a.parquet", "x/b.parquet"])
    answering = Job("answer_benchmark", {"base": "qwen2.5-1.5b", "teacher": "qwen2.5-7b-instruct"})
    protocol = PROTOCOLS["grade"]
    for n in (2 * 80, 3):  # what is assumed; the turns of the prompts
        cost = cost_of(turns, judging)
        usd = 2 * n * (protocol.tokens_read * 10 + protocol.tokens_written * 30) / 1e6
        assert cost.usd == pytest.approx(usd)
        assert cost_of(turns, answering).tokens == n * (50 + 300)
        assert "turns of a prompt of mt_bench = 2" in turns.assumed
        turns.results = tmp_path
        (tmp_path / "prompts").mkdir(exist_ok=True)
        pl.DataFrame({"id": ["a", "b"], "n_turns": [1, 2]}).write_parquet(tmp_path / "prompts/mt_bench.parquet")


def test_models_that_do_not_fit_are_named():
    assert models_that_do_not_fit(study()) == []
    assert models_that_do_not_fit(study(gpu="l4")) == []  # 0.5B in full precision, 1.5B with LoRA
    small = study(gpu="l4")
    del small.config["bases"]["qwen2.5-1.5b"]["lora"]
    assert models_that_do_not_fit(small) == [
        "fine-tuning qwen2.5-1.5b needs 24 GB per process; 1 x l4 can hold 22 GB: see `fsdp` and `lora`"
    ]
    shared = study(gpu="h100")  # 4.5 billion in four processes: 90 GB each with buffers of gradients, 18 GB with fsdp
    shared.config["bases"] = {"b": shared.config["bases"]["qwen2.5-0.5b"] | {"parameters": 4.5, "processes": 4}}
    assert models_that_do_not_fit(shared) == [
        "fine-tuning b needs 90 GB per process; 1 x h100 can hold 72 GB: see `fsdp` and `lora`"
    ]
    shared.config["bases"]["b"]["fsdp"] = True
    assert models_that_do_not_fit(shared) == []
    large = study()
    large.config["teachers"] = {
        "t": {"model": "m/M-405B", "engine": "vllm", "vllm": {}, "gpus": 8},
        "quantized": {"model": "m/M-405B-FP8", "engine": "vllm", "vllm": {}, "gpus": 8},
    }
    judge = {"model": "m/J-70B", "engine": "vllm", "vllm": {}, "gpus": 1}
    scorer = {"model": "m/R-27B", "gpus": 1}
    large.config |= {"judges": {"j": judge, "r": {"reward": scorer | {"model": "m/R-8B"}}}}
    large.config |= {"reward_models": {"s": scorer}, "reference_models": {"g": {"model": "m/G-40B", "gpus": 1}}}
    assert models_that_do_not_fit(large) == [
        "teacher t needs 810 GB; 8 x h100 can hold 576 GB",
        "reference model g needs 80 GB; 1 x h100 can hold 72 GB",
        "judge j needs 140 GB; 1 x h100 can hold 72 GB",
    ]


def test_measured_times_of_finished_jobs_correct_the_estimates(tmp_path):
    job = Job("finetune", {"base": "qwen2.5-0.5b", "teacher": "qwen2.5-7b-instruct"}, gpus=1)
    estimate = cost_of(study(), job).seconds
    (tmp_path / "done.tsv").write_text(f"s\th:m:s\n{3 * estimate}\t-\n")
    finished = replace(job, timing=str(tmp_path / "done.tsv"))
    ratios = measured_ratios(study(), [finished, replace(job, timing=str(tmp_path / "not yet.tsv"))])
    assert ratios == {"finetune": (pytest.approx(3), 1)}
    on_four = replace(finished, gpus=4)  # each of the four GPUs was busy for that time
    assert measured_ratios(study(), [on_four]) == {"finetune": (pytest.approx(12), 1)}
    corrected = corrected_cost(study(), job, ratios)
    assert (corrected.jobs, corrected.seconds) == (1, pytest.approx(3 * estimate))
    assert by_rule([(job, Cost(jobs=1, usd=1)), (job, Cost(jobs=1, usd=2))]) == {"finetune": Cost(jobs=2, usd=3)}


def test_the_time_of_completion_is_that_of_one_gpu():
    text = completion("all", 5.5 * 3600, datetime(2030, 1, 31, 22, 45))
    assert text == (
        "ETA: all is finished in 5.5 hours with one GPU, at 2030-02-01 04:15; with n GPUs, in 1/n of the time"
    )


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
def test_the_size_of_a_model_is_read_from_its_name(name, size):
    assert parameters_of({"model": name}) == size
    assert parameters_of({"model": name, "parameters": 3.8}) == 3.8e9


def test_the_parameters_of_a_local_model_are_counted(tiny):
    from transformers import AutoModelForCausalLM

    assert parameters_of({"model": str(tiny)}) == AutoModelForCausalLM.from_pretrained(tiny).num_parameters()


@pytest.mark.study
def test_a_finished_study_has_no_jobs_left_and_its_measured_times_are_used(study_copy):
    done = snakemake("plan", "--cores", "1", cwd=study_copy)
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.search(r"total +\d +0.00 +0 +0 +0.00", done.stdout)  # `rank` still writes ranking.html
    assert "Measured: finetune takes" in done.stdout and "(26 finished jobs)" in done.stdout
    assert "ETA: all is finished in 0.0 hours" in done.stdout


def test_the_plan_says_that_the_cost_of_tasks_of_lm_eval_is_not_known():
    planned = study()
    job = Job("evaluate_tasks", {"benchmark": "k", "base": "qwen2.5-0.5b", "teacher": "qwen2.5-7b-instruct"}, gpus=1)
    assert cost_of(planned, job) == Cost(seconds=60)
    assert "lm_eval on k = the start of the model, until one job has run" in planned.assumed
