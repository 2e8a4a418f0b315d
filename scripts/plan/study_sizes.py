"""The sizes that the cost of a study follows from: parameters of models, numbers of rows and tokens, prices."""

import json
from functools import cache
from pathlib import Path

import polars as pl

from scripts.configuration.protocols import PROTOCOLS
from scripts.models.sizes import parameters_of
from scripts.tables.files import read_table
from scripts.tables.reasoning import KEEP, SEPARATE
from scripts.tables.source_files import files_of
from scripts.tables.sources import read_texts

TRAINED = (KEEP, SEPARATE)  # with separate if the base's template writes it: an upper bound
TURNS = 2  # of a prompt of several turns, until the prompts are read
UNJUDGED_PROMPTS = 1000  # of a benchmark without a protocol, until its prompts are read


@cache
def rows_in(path: Path) -> int:
    return read_table(path, ["id"]).height


@cache
def mean_tokens(path: Path, thinking: bool) -> float | None:
    """Mean number of tokens of the responses in a table, with or without their thinking; None if it is not known."""
    known = {"n_thinking_tokens"} & pl.read_parquet_schema(path).keys()
    rows = read_table(path, ["n_tokens", *known])
    if thinking or not known:
        return rows["n_tokens"].mean()
    return (rows["n_tokens"] - rows["n_thinking_tokens"].fill_null(0)).mean()


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

    def turns(self, benchmark: str) -> int:
        """How many answers to the prompts of a benchmark there are: one to each, or one to each of its turns."""
        path = self.results / f"prompts/{benchmark}.parquet"
        if path.exists() and "n_turns" in pl.read_parquet_schema(path):
            return read_table(path, ["n_turns"])["n_turns"].sum()
        if path.exists() or "user_turns" not in self.config["benchmarks"][benchmark]["prompts"]["columns"]:
            return self.prompts(benchmark)
        self.assumed.add(f"turns of a prompt of {benchmark} = {TURNS}")
        return TURNS * self.prompts(benchmark)

    def prompt_tokens(self) -> int:
        self.assumed.add(f"tokens per instruction = {self.config['plan']['prompt_tokens']}")
        return self.config["plan"]["prompt_tokens"]

    def mode(self, teacher: str) -> str | None:
        """What becomes of a teacher's thinking; None if it is not known to think. A selection has that of its pool."""
        teachers = self.config["teachers"]
        return teachers.get(teachers[teacher].get("pool"), teachers[teacher]).get("reasoning")

    def written_tokens(self, teacher: str) -> float:
        """Mean tokens that a teacher writes for a response, with its thinking."""
        return self.measured(teacher, True) or self.expected(teacher, self.mode(teacher) is not None)

    def response_tokens(self, teacher: str) -> float:
        """Mean tokens of a teacher's responses, as they are scored and trained on."""
        trained = self.mode(teacher) in TRAINED
        return self.measured(teacher, trained) or self.expected(teacher, trained)

    def measured(self, teacher: str, thinking: bool) -> float | None:
        """Mean tokens of a teacher's finished responses; None if there are none."""
        path = self.results / f"responses/{teacher}.parquet"
        return mean_tokens(path, thinking) if path.exists() else None

    def expected(self, teacher: str, thinking: bool) -> int:
        """As for answers with the sampling of the teacher."""
        return self.answer_tokens(self.config["teachers"][teacher].get("sampling", {}), thinking)

    def answer_tokens(self, sampling: dict, thinking: bool = False) -> int:
        """The configured length of a response, or the limit of the sampling if that is less."""
        length = self.config["plan"]["response_tokens"]
        self.assumed.add(f"tokens per response = {length} (or max_new_tokens, if less)")
        if thinking:
            self.assumed.add(f"tokens of thinking = {self.config['plan']['thinking_tokens']}")
            length += self.config["plan"]["thinking_tokens"]
        return min(length, sampling.get("max_new_tokens", length))

    def price(self, model: str) -> dict[str, float]:
        """Dollars per million tokens of a model behind an endpoint; zero if `api.prices` does not have it."""
        if model not in self.config["api"]["prices"]:
            self.assumed.add(f"price of {model} = 0 (it is not in `api.prices`)")
        return self.config["api"]["prices"].get(model, {"input": 0, "output": 0})
