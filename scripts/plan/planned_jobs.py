"""The cost of each planned job: one function per rule that runs a model. Jobs of other rules take seconds.

Each function has the name of its rule; its arguments are the study and the job.
"""

import re

from scripts.configuration.config_engines import is_endpoint, price_share
from scripts.configuration.protocols import PROTOCOLS
from scripts.plan.dry_run import Job
from scripts.plan.plan_costs import (
    MODEL_START,
    Cost,
    asking,
    differentiating,
    generating,
    projection_bytes,
    scoring,
    text_bytes,
    training,
)
from scripts.plan.study_sizes import TRAINED, Study

STEP = 25  # tokens of a step of a response


def cost_of(study: Study, job: Job) -> Cost:
    return COSTS[job.rule](study, job) if job.rule in COSTS else Cost()


def generate_responses(study: Study, job: Job) -> Cost:
    teacher = job.wildcards["teacher"]
    rows = study.responses(teacher)
    written = study.written_tokens(teacher)
    cost = generation(study, "teachers", teacher, rows, study.prompt_tokens(), written)
    return cost + Cost(bytes=text_bytes(rows * written))


def score_rewards(study: Study, job: Job) -> Cost:
    size = study.parameters("reward_models", job.wildcards["reward_model"])
    return scoring(size, sum(conversation_tokens(study, teacher) for teacher in job.written()), study.gpu)


def score_likelihoods(study: Study, job: Job) -> Cost:
    return scoring(study.parameters("bases", job.wildcards["base"]), likelihood_tokens(study, job), study.gpu)


def score_reference_likelihoods(study: Study, job: Job) -> Cost:
    size = study.parameters("reference_models", job.wildcards["reference_model"])
    return scoring(size, likelihood_tokens(study, job), study.gpu)


def score_lalp(study: Study, job: Job) -> Cost:
    """The first steps share a window; each further one has its own, with the instruction and the steps before it."""
    section, prompt, teachers = study.config["lalp"], study.prompt_tokens(), job.written()
    study.assumed.add(f"tokens per step = {STEP}")
    window = STEP * (section["steps_before"] + 1)
    tokens = 0
    for name in teachers:
        response = study.response_tokens(name)
        further = max(response - window, 0) / STEP
        rows = min(section["n"], study.instructions(name))
        tokens += rows * (prompt + min(response, window) + further * (prompt + window))
    return scoring(study.parameters("bases", job.wildcards["base"]), tokens, study.gpu)


def score_gradients(study: Study, job: Job) -> Cost:
    """Each response to a sampled instruction is read once, after its instruction."""
    section, teachers = study.config["gradients"], job.written()
    rows = {name: min(section["n"], study.instructions(name)) for name in teachers}
    tokens = sum(rows[name] * (study.prompt_tokens() + study.response_tokens(name)) for name in teachers)
    cost = differentiating(study.parameters("bases", job.wildcards["base"]), tokens, study.gpu, section["lora"])
    return cost + Cost(bytes=projection_bytes(sum(rows.values())))


def finetune(study: Study, job: Job) -> Cost:
    tokens = conversation_tokens(study, job.wildcards["teacher"]) * study.config["finetune"]["epochs"]
    return training(study.parameters("bases", job.wildcards["base"]), tokens, study.gpu)


def finetune_pilot(study: Study, job: Job) -> Cost:
    """The first instructions of the study, as many as the run @n{size}s{seed} says."""
    teacher, size = job.wildcards["teacher"], int(re.match(r"@n(\d+)", job.wildcards["run"])[1])
    tokens = size * (study.prompt_tokens() + study.response_tokens(teacher)) * study.config["finetune"]["epochs"]
    return training(study.parameters("bases", job.wildcards["base"]), tokens, study.gpu)


def answer_benchmark(study: Study, job: Job) -> Cost:
    """A base that was trained on thinking writes some, too."""
    answered = [name for name, benchmark in study.config["benchmarks"].items() if "prompts" in benchmark]
    thinks = study.mode(job.wildcards["teacher"]) in TRAINED
    return answering(study, "bases", job.wildcards["base"], sorted(answered), thinks)


def answer_pilot(study: Study, job: Job) -> Cost:
    """Only the benchmark of the pilots' score."""
    benchmark = study.config["pilots"]["score"].rpartition(".")[0]
    thinks = study.mode(job.wildcards["teacher"]) in TRAINED
    return answering(study, "bases", job.wildcards["base"], [benchmark], thinks)


def answer_as_baseline(study: Study, job: Job) -> Cost:
    benchmark = job.wildcards["benchmark"]
    baseline = study.config["benchmarks"][benchmark]["baseline"]
    return answering(study, "teachers", baseline, [benchmark], study.mode(baseline) is not None)


def evaluate_tasks(study: Study, job: Job) -> Cost:
    """Only the start of the model: how long the questions of lm_eval's tasks are is not known here."""
    benchmark = job.wildcards["benchmark"]
    study.assumed.add(f"lm_eval on {benchmark} = the start of the model, until one job has run")
    return Cost(seconds=MODEL_START)


def judge_pairs(study: Study, job: Job) -> Cost:
    benchmark = job.wildcards["benchmark"]
    entry = study.config["benchmarks"][benchmark]
    protocol = PROTOCOLS[entry["protocol"]]
    rows = len(job.outputs) * study.turns(benchmark)
    thinks = "reasoning" in study.config["judges"][entry["judge"]]
    written = protocol.tokens_written + (study.config["plan"]["thinking_tokens"] if thinks else 0)
    return generation(study, "judges", entry["judge"], rows, protocol.tokens_read, written)


def judge_reward(study: Study, job: Job) -> Cost:
    """The reward model reads two responses per pair and prompt: the answer and the baseline's."""
    benchmark = job.wildcards["benchmark"]
    entry = study.config["benchmarks"][benchmark]
    rows = 2 * len(job.outputs) * study.prompts(benchmark)
    tokens = rows * (study.prompt_tokens() + study.answer_tokens(entry["sampling"]))
    return scoring(study.parameters("judges", entry["judge"]), tokens, study.gpu)


def conversation_tokens(study: Study, teacher: str) -> float:
    """All responses of a teacher, each after its instruction."""
    return study.responses(teacher) * (study.prompt_tokens() + study.response_tokens(teacher))


def likelihood_tokens(study: Study, job: Job) -> float:
    """Each response is read twice: after its instruction and without it."""
    teachers = job.written()
    return sum(
        conversation_tokens(study, name) + study.responses(name) * study.response_tokens(name) for name in teachers
    )


def answering(study: Study, section: str, model: str, benchmarks: list[str], thinks: bool) -> Cost:
    """The answers of a model to the prompts of benchmarks, after one start; thinks: it thinks before each."""
    prompts = {name: study.turns(name) for name in benchmarks}
    lengths = {name: study.answer_tokens(study.config["benchmarks"][name]["sampling"], thinks) for name in benchmarks}
    rows = sum(prompts.values())
    written = sum(prompts[name] * lengths[name] for name in benchmarks) / rows
    return generation(study, section, model, rows, study.prompt_tokens(), written)


def generation(study: Study, section: str, model: str, rows: float, read: float, written: float) -> Cost:
    """A model of a section of the configuration reads and writes so many tokens per row."""
    entry = study.config[section][model]
    if is_endpoint(entry):
        return asking(study.price(entry["model"]), rows, read, written, price_share(entry))
    return generating(study.parameters(section, model), rows * (read + written), study.gpu)


COSTS = {
    "generate_responses": generate_responses,
    "score_rewards": score_rewards,
    "score_rewards_apart": score_rewards,
    "score_likelihoods": score_likelihoods,
    "score_reference_likelihoods": score_reference_likelihoods,
    "score_lalp": score_lalp,
    "score_gradients": score_gradients,
    "finetune": finetune,
    "finetune_pilot": finetune_pilot,
    "answer_benchmark": answer_benchmark,
    "answer_pilot": answer_pilot,
    "answer_as_baseline": answer_as_baseline,
    "evaluate_tasks": evaluate_tasks,
    "judge_pairs": judge_pairs,
    "judge_grades": judge_pairs,
    "judge_grades_of_pilot": judge_pairs,
    "judge_reward": judge_reward,
    "judge_reward_of_pilot": judge_reward,
}
