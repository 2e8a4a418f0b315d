"""The cost of each planned job: one function per rule that runs a model. Jobs of other rules take seconds.

Each function has the name of its rule; its arguments are the study and the wildcards of the job.
"""

from scripts.configuration.config_engines import is_endpoint
from scripts.configuration.protocols import PROTOCOLS
from scripts.plan.dry_run import Job
from scripts.plan.plan_costs import Cost, asking, generating, scoring, training
from scripts.plan.study_sizes import Study


def cost_of(study: Study, job: Job) -> Cost:
    return COSTS[job.rule](study, **job.wildcards) if job.rule in COSTS else Cost()


def generate_responses(study: Study, teacher: str) -> Cost:
    rows = study.responses(teacher)
    return generation(study, "teachers", teacher, rows, study.prompt_tokens(), study.response_tokens(teacher))


def score_rewards(study: Study, reward_model: str, teacher: str) -> Cost:
    tokens = study.responses(teacher) * (study.prompt_tokens() + study.response_tokens(teacher))
    return scoring(study.parameters("reward_models", reward_model), tokens, study.gpu)


def score_likelihoods(study: Study, base: str, teacher: str) -> Cost:
    return scoring(study.parameters("bases", base), likelihood_tokens(study, teacher), study.gpu)


def score_reference_likelihoods(study: Study, reference_model: str, teacher: str) -> Cost:
    size = study.parameters("reference_models", reference_model)
    return scoring(size, likelihood_tokens(study, teacher), study.gpu)


def finetune(study: Study, base: str, teacher: str) -> Cost:
    tokens = study.responses(teacher) * (study.prompt_tokens() + study.response_tokens(teacher))
    return training(study.parameters("bases", base), tokens * study.config["finetune"]["epochs"], study.gpu)


def answer_benchmark(study: Study, benchmark: str, base: str, teacher: str) -> Cost:
    return answering(study, "bases", base, benchmark)


def answer_as_baseline(study: Study, benchmark: str) -> Cost:
    return answering(study, "teachers", study.config["benchmarks"][benchmark]["baseline"], benchmark)


def judge_pairs(study: Study, benchmark: str, base: str, teacher: str) -> Cost:
    entry = study.config["benchmarks"][benchmark]
    protocol = PROTOCOLS[entry["protocol"]]
    tokens = protocol.tokens_read, protocol.tokens_written
    return generation(study, "judges", entry["judge"], study.prompts(benchmark), *tokens)


def judge_reward(study: Study, benchmark: str, base: str, teacher: str) -> Cost:
    """The reward model reads two responses per prompt: the answer and the baseline's."""
    entry = study.config["benchmarks"][benchmark]
    tokens = 2 * study.prompts(benchmark) * (study.prompt_tokens() + study.answer_tokens(entry["sampling"]))
    return scoring(study.parameters("judges", entry["judge"]), tokens, study.gpu)


def likelihood_tokens(study: Study, teacher: str) -> float:
    """Each response is read twice: after its instruction and without it."""
    return study.responses(teacher) * (study.prompt_tokens() + 2 * study.response_tokens(teacher))


def answering(study: Study, section: str, model: str, benchmark: str) -> Cost:
    """The answers of a model to a benchmark's prompts."""
    sampling = study.config["benchmarks"][benchmark]["sampling"]
    written = study.answer_tokens(sampling)
    return generation(study, section, model, study.prompts(benchmark), study.prompt_tokens(), written)


def generation(study: Study, section: str, model: str, rows: float, read: float, written: float) -> Cost:
    """A model of a section of the configuration reads and writes so many tokens per row."""
    entry = study.config[section][model]
    if is_endpoint(entry):
        return asking(study.price(entry["model"]), rows, read, written)
    return generating(study.parameters(section, model), rows * (read + written), study.gpu)


COSTS = {
    "generate_responses": generate_responses,
    "score_rewards": score_rewards,
    "score_likelihoods": score_likelihoods,
    "score_reference_likelihoods": score_reference_likelihoods,
    "finetune": finetune,
    "answer_benchmark": answer_benchmark,
    "answer_as_baseline": answer_as_baseline,
    "judge_pairs": judge_pairs,
    "judge_reward": judge_reward,
}
