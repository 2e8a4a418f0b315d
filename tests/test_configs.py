"""The shipped configurations: a dry run of each has no error, and that of the paper has the jobs of the paper."""

import re
import subprocess

import pytest

from conftest import ROOT, link_workflow, snakemake


def jobs_of(name, *targets) -> dict[str, int]:
    """The number of jobs of each rule in a dry run."""
    command = ["snakemake", "-n", "--configfile", f"config/{name}.yaml", "--directory", ".", "--", *targets]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = done.stdout.split("Job stats:")[1].split("\n\n")[0]
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M)}


def test_the_papers_study_has_the_papers_jobs():
    # GPT-4 is left out; one teacher's responses are imported, with its rewards
    teachers, bases, reward_models, benchmarks = 19, 5, 3, 2
    pairs = teachers * bases
    assert jobs_of("paper") == {
        "check_model": (teachers - 1) + bases + reward_models + 1 + 1,  # GPT-2 and the judge
        "check_models": 1,
        "check_disk": 1,
        "prepare_instructions": 1,
        "prepare_prompts": benchmarks,
        "generate_responses": teachers - 1,
        "import_responses": 1,
        "check_imports": 1,
        "score_rewards": reward_models,
        "import_rewards": reward_models,
        "score_likelihoods": bases,
        "score_reference_likelihoods": 1,
        "measure_diversity": 1,
        "join_metrics": bases,
        "rank_teachers": 1,
        "assess_ranking": 1,
        "vary_ranking": 1,
        "compare_scores": 1,
        "count_seams": 1,
        "count_costs": 1,
        "write_dataset": bases,
        "finetune": pairs,
        "answer_benchmark": pairs,
        "import_baseline": benchmarks,
        "judge_pairs": benchmarks,
        "prepare_length_control": 1,
        "score_alpaca_eval": 1,
        "score_arena_hard": 1,
        "average_performance": 1,
        "correlate_metrics": 1,
        "compare_ap": 1,
        "compare_metrics": 1,
        "compare_sizes": 1,
        "vary_car": 1,
        "draw_conclusions": 1,
        "save_config": 1,
        "write_report": 1,
        "all": 1,
        "total": 289,
    }


def test_the_imported_study_only_computes_likelihoods_to_rank():
    teachers, bases, reward_models = 19, 5, 3
    expected = {
        "check_model": bases + 1,
        "check_models": 1,
        "prepare_instructions": 1,
        "import_responses": teachers,
        "check_imports": 1,
        "import_rewards": teachers * reward_models,
        "score_likelihoods": bases,
        "score_reference_likelihoods": 1,
        "measure_diversity": 1,
        "join_metrics": bases,
        "rank_teachers": 1,
        "assess_ranking": 1,
        "vary_ranking": 1,
        "compare_scores": 1,
        "count_seams": 1,
        "count_costs": 1,
        "write_dataset": bases,
        "save_config": 1,
    }
    ranked = jobs_of("paper-import", "rank")
    assert ranked == expected | {"write_ranking": 1, "rank": 1, "total": sum(expected.values()) + 2}
    studied = jobs_of("paper-import")
    further = {
        "check_disk": 1,
        "import_scores": 2,
        "average_performance": 1,
        "correlate_metrics": 1,
        "compare_ap": 1,
        "compare_metrics": 1,
        "compare_sizes": 1,
        "vary_car": 1,
        "draw_conclusions": 1,
        "write_report": 1,
    }
    assert studied == expected | further | {"all": 1, "total": sum((expected | further).values()) + 1}


def test_the_ablations_select_from_one_pool_and_never_train_on_it():
    jobs = jobs_of("paper-ablations")
    teachers, bases = 1 + 3 + 12, 2
    assert jobs["generate_responses"] == 1 + 1 + 12 and jobs["score_rewards"] == 1
    assert jobs["select_responses"] == jobs["select_rewards"] == 3
    assert jobs["finetune"] == teachers * bases and jobs["score_likelihoods"] == bases


def test_the_study_for_one_gpu_has_six_teachers_and_two_bases():
    jobs = jobs_of("single-gpu")
    assert (jobs["generate_responses"], jobs["score_rewards"], jobs["score_likelihoods"]) == (6, 1, 2)
    assert (jobs["finetune"], jobs["answer_benchmark"], jobs["judge_exact"]) == (12, 12, 1)


def test_a_job_asks_for_the_gpus_its_model_needs(tmp_path):
    done = snakemake("-n", "--configfile", "config/paper.yaml", "--resources", "gpu=8", cwd=link_workflow(tmp_path))
    jobs = re.split(r"\nrule ", done.stdout)
    gpus = {re.match(r"\w+", job)[0]: set() for job in jobs}
    for job in jobs:
        gpus[re.match(r"\w+", job)[0]] |= {int(n) for n in re.findall(r"gpu=(\d+)", job)}
    assert gpus["generate_responses"] == {1, 2, 4, 8}  # the last one is the 405B teacher
    assert (gpus["finetune"], gpus["judge_pairs"], gpus["import_responses"]) == ({4}, {4}, set())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, expected",
    [
        ("recipes/new-bases", {"generate_responses": 18, "score_likelihoods": 3, "finetune": 19 * 3, "judge_pairs": 2}),
        ("recipes/qwen3-24gb", {"generate_responses": 4, "score_likelihoods": 2, "finetune": 4 * 2, "judge_exact": 1}),
        ("recipes/openrouter", {"generate_responses": 4, "score_likelihoods": 2}),
    ],
)
def test_a_recipe_has_the_jobs_of_what_it_changes(name, expected):
    of_models = ("generate_responses", "score_likelihoods", "finetune", "judge_pairs", "judge_exact")
    jobs = jobs_of(name)
    assert {rule: jobs[rule] for rule in of_models if rule in jobs} == expected
