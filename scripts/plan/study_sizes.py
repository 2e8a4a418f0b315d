"""The sizes that the cost of a study follows from: parameters of models, numbers of rows and tokens, prices."""

import json
from functools import cache
from pathlib import Path

from scripts.configuration.protocols import PROTOCOLS
from scripts.models.sizes import parameters_of
from scripts.tables.files import read_table
from scripts.tables.source_files import files_of
from scripts.tables.sources import read_texts

UNJUDGED_PROMPTS = 1000  # of a benchmark without a protocol, until its prompts are read


@cache
def rows_in(path: Path) -> int:
    return read_table(path, ["id"]).height


@cache
def mean_tokens(path: Path) -> float | None:
    """Mean number of tokens of the responses in a table; None if they were imported without it."""
    return read_table(path, ["n_tokens"])["n_tokens"].mean()


@cache
def rows_in_source(source: str) -> int:
    """Rows of local files, for their entry as JSON."""
    return read_texts(json.loads(source)).height


def local_rows(source: dict) -> int | None:
    """Rows of an entry's local files; None for a data set of the hub, and for files that are not made yet."""
    try:
        files_of(source.get("path", []))
    except ValueError:
        return None
    return rows_in_source(json.dumps(source)) if "path" in source else None


class Study:
    """Sizes of a study, from finished files if they exist, else from the configuration.

    `assumed` collects the sizes that are neither measured nor configured, one phrase each.
    """

    def __init__(self, config: dict):
        self.config, self.gpu = config, config["plan"]["gpu"]
        self.results, self.assumed = Path("results") / config["study"], set()

    def parameters(self, section: str, name: str) -> float:
        """The size of a model, or of the reward model of a judge."""
        entry = self.config[section][name]
        found = parameters_of(entry.get("reward", entry))
        if found is None:
            self.assumed.add(f"parameters of {name} = 7 billion")
        return found or 7e9

    def instructions(self, teacher: str) -> int:
        """How many instructions a teacher answers."""
        own = f"instructions/{teacher}" if self.config["compare"] == "unpaired" else "instructions"
        if (path := self.results / f"{own}.parquet").exists():
            return rows_in(path)
        paired = self.config["compare"] != "unpaired"
        source = self.config["instructions"] if paired else self.config["teachers"][teacher]["import"]
        configured, default = self.config["instructions"]["n"], self.config["plan"]["instructions"]
        if rows := local_rows(source):
            return min(rows, configured or rows)
        if not configured:
            self.assumed.add(f"instructions = {default}")
        return configured or default

    def responses(self, teacher: str) -> int:
        """Rows of a teacher: one per instruction, or several candidates."""
        return self.instructions(teacher) * (self.config["teachers"][teacher].get("candidates") or 1)

    def prompts(self, benchmark: str) -> int:
        if (path := self.results / f"prompts/{benchmark}.parquet").exists():
            return rows_in(path)
        entry = self.config["benchmarks"][benchmark]
        if rows := local_rows(entry["prompts"]):
            return min(rows, entry["prompts"]["n"] or rows)
        usual = PROTOCOLS[entry["protocol"]].n_prompts if entry["protocol"] else UNJUDGED_PROMPTS
        n = entry["prompts"]["n"] or usual
        self.assumed.add(f"prompts of {benchmark} = {n}")
        return n

    def prompt_tokens(self) -> int:
        self.assumed.add(f"tokens per instruction = {self.config['plan']['prompt_tokens']}")
        return self.config["plan"]["prompt_tokens"]

    def response_tokens(self, teacher: str) -> float:
        """Mean tokens of a teacher's finished responses, else as for answers with its sampling."""
        path = self.results / f"responses/{teacher}.parquet"
        if path.exists() and (mean := mean_tokens(path)):
            return mean
        return self.answer_tokens(self.config["teachers"][teacher].get("sampling", {}))

    def answer_tokens(self, sampling: dict) -> int:
        """The configured length of a response, or the limit of the sampling if that is less."""
        length = self.config["plan"]["response_tokens"]
        self.assumed.add(f"tokens per response = {length} (or max_new_tokens, if less)")
        return min(length, sampling.get("max_new_tokens", length))

    def price(self, model: str) -> dict[str, float]:
        """Dollars per million tokens of a model behind an endpoint; zero if `api.prices` does not have it."""
        if model not in self.config["api"]["prices"]:
            self.assumed.add(f"price of {model} = 0 (it is not in `api.prices`)")
        return self.config["api"]["prices"].get(model, {"input": 0, "output": 0})
