"""What each job of a study has to read, write and compute, from its configuration and from what exists of it."""

from functools import cache
from pathlib import Path

from scripts.configuration.config_engines import is_endpoint
from scripts.models.sizes import parameters_of
from scripts.plan.plan_costs import JUDGED, Cost, generating, lacking, scoring, training
from scripts.tables.files import read_table

PROMPTS = {"alpaca_eval": 805, "arena_hard": 500}


@cache
def rows_in(path: Path) -> int:
    return read_table(path, ["id"]).height


@cache
def mean_tokens(path: Path) -> float | None:
    """Of the responses in a table; none where they were imported, without a count."""
    return read_table(path, ["n_tokens"])["n_tokens"].mean()


class Study:
    """The configuration, with the sizes and lengths behind a job's cost; `assumed` tells which nobody has measured."""

    def __init__(self, config: dict):
        self.config, self.gpu = config, config["plan"]["gpu"]
        self.results, self.assumed = Path("results") / config["study"], set()

    def size(self, section: str, name: str) -> float:
        entry = self.config[section][name]
        found = parameters_of(entry.get("reward", entry))
        if found is None:
            self.assumed.add(f"{name} has 7 billion parameters")
        return found or 7e9

    def rows(self) -> int:
        if (path := self.results / "instructions.parquet").exists():
            return rows_in(path)
        if not self.config["instructions"]["n"]:
            self.assumed.add(f"{self.config['plan']['instructions']} instructions")
        return self.config["instructions"]["n"] or self.config["plan"]["instructions"]

    def prompts(self, benchmark: str) -> int:
        if (path := self.results / f"prompts/{benchmark}.parquet").exists():
            return rows_in(path)
        entry = self.config["benchmarks"][benchmark]
        n = entry["prompts"]["n"] or PROMPTS.get(entry["protocol"], 1000)
        self.assumed.add(f"{n} prompts of {benchmark}")
        return n

    def prompt_tokens(self) -> int:
        self.assumed.add(f"{self.config['plan']['prompt_tokens']} tokens an instruction")
        return self.config["plan"]["prompt_tokens"]

    def response_tokens(self, teacher: str | None = None, sampling: dict | None = None) -> float:
        """Of a teacher's responses, where they are there, or as assumed, at most what sampling allows."""
        path = self.results / f"responses/{teacher}.parquet"
        if teacher and path.exists() and (mean := mean_tokens(path)):
            return mean
        self.assumed.add(f"{self.config['plan']['response_tokens']} tokens a response, where more are allowed")
        return min(self.config["plan"]["response_tokens"], (sampling or {}).get("max_new_tokens", 10**9))

    def prices(self, entry: dict) -> dict:
        """Dollars a million tokens, by the name at the endpoint; an endpoint without a price is told."""
        if is_endpoint(entry) and entry["model"] not in self.config["api"]["prices"]:
            self.assumed.add(f"{entry['model']} costs no dollars: `api.prices` does not have it")
        return self.config["api"]["prices"]

    def cost(self, job: dict) -> Cost:
        """Of one job; nothing for those that take seconds."""
        config, rule, gpu = self.config, job["rule"], self.gpu
        entry = config["teachers"].get(job.get("teacher"), {})
        read, written = self.prompt_tokens(), self.response_tokens(job.get("teacher"), entry.get("sampling"))
        rows = self.rows() * entry.get("candidates", 1)
        if rule == "generate_responses":
            size = 0 if is_endpoint(entry) else self.size("teachers", job["teacher"])
            return generating(entry, size, rows, read, written, gpu, self.prices(entry))
        if rule == "score_rewards":
            return scoring(self.size("reward_models", job["reward_model"]), rows * (read + written), gpu)
        if rule == "score_likelihoods":  # the response alone, too
            return scoring(self.size("bases", job["base"]), rows * (read + 2 * written), gpu)
        if rule == "score_reference_likelihoods":
            return scoring(self.size("reference_models", job["reference_model"]), rows * (read + 2 * written), gpu)
        if rule == "finetune":
            return training(
                self.size("bases", job["base"]), rows * (read + written) * config["finetune"]["epochs"], gpu
            )
        return self.cost_of_judging(job) if "benchmark" in job else Cost()

    def cost_of_judging(self, job: dict) -> Cost:
        """Of a benchmark's answers or judgments."""
        config, rule, gpu = self.config, job["rule"], self.gpu
        benchmark, rows = config["benchmarks"][job["benchmark"]], self.prompts(job["benchmark"])
        read, written = self.prompt_tokens(), self.response_tokens(sampling=benchmark["sampling"])
        if rule == "answer_benchmark":
            size = self.size("bases", job["base"])
            return generating(config["bases"][job["base"]], size, rows, read, written, gpu, {})
        if rule == "answer_as_baseline":
            entry = config["teachers"][benchmark["baseline"]]
            size = 0 if is_endpoint(entry) else self.size("teachers", benchmark["baseline"])
            return generating(entry, size, rows, read, written, gpu, self.prices(entry))
        if rule == "judge_pairs":
            judge = config["judges"][benchmark["judge"]]
            size = 0 if is_endpoint(judge) else self.size("judges", benchmark["judge"])
            return generating(judge, size, rows, *JUDGED[benchmark["protocol"]], gpu, self.prices(judge))
        if rule == "judge_reward":
            return scoring(self.size("judges", benchmark["judge"]), 2 * rows * (read + written), gpu)
        return Cost()

    def does_not_fit(self) -> list[str]:
        """Models whose weights, or states in training, are more than their GPUs hold."""
        lines = []
        for name, entry in self.config["teachers"].items():
            if "model" in entry and not is_endpoint(entry) and entry["gpus"]:
                settings = entry.get(entry["engine"], {})
                each = 1 if "fp8" in entry["model"].lower() or "quantization" in settings else 2
                told = lacking(each * self.size("teachers", name) / 1e9, entry["gpus"], self.gpu)
                lines += [f"teacher {name} {told}"] if told else []
        for name, entry in self.config["bases"].items():
            # weights, gradients and two moments in float32; processes that do not share them buffer the gradients
            states = 16 / entry["processes"] if entry["fsdp"] else 20 if entry["processes"] > 1 else 16
            each = 2 if entry.get("lora") is not None else states
            told = lacking(each * self.size("bases", name) / 1e9, 1, self.gpu) if entry["gpus"] else None
            lines += [f"fine-tuning {name} {told} a process: see fsdp and lora"] if told else []
        return lines
