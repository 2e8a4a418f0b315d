"""Values of a configuration that the schema accepts one by one, and that do not work together."""

import re

from scripts.configuration.config_engines import gpus_setting, is_batched, is_endpoint
from scripts.configuration.protocols import PROTOCOLS

KINDS = {"model": "a model", "select": "a selection", "mix": "a mix"}


def wrong_values(config: dict) -> list[str]:
    """One line per problem of a configuration that is filled with its defaults."""
    return [
        *wrong_finetuning(config),
        *wrong_gpus(config),
        *wrong_batches(config),
        *wrong_names(config),
        *wrong_template_settings(config),
        *wrong_lengths(config),
        *wrong_unpaired(config),
        *wrong_turns(config),
        *(line for name in config["benchmarks"] for line in wrong_exact_benchmark(name, config["benchmarks"][name])),
    ]


def wrong_finetuning(config: dict) -> list[str]:
    """Batches that cannot be split evenly, and bases whose weights cannot be shared among processes."""
    batch, micro = config["finetune"]["batch_size"], config["finetune"]["micro_batch_size"]
    problems = []
    if batch % micro:
        problems.append(f"finetune: batch_size {batch} is not a multiple of micro_batch_size {micro}")
    for name, base in config["bases"].items():
        processes = base["processes"]
        if processes > 1 and batch % (micro * processes):
            problems.append(
                f"bases.{name}.processes: batch_size {batch} is not a multiple of micro_batch_size {micro} times "
                f"{processes} processes"
            )
        if base["fsdp"] and ("lora" in base or processes == 1 or base["gpus"] == 0):
            problems.append(f"bases.{name}.fsdp: needs several processes, a GPU for each, and no lora")
    return problems


def fill_gpus_of_endpoints(config: dict) -> None:
    """Jobs that ask an endpoint use no GPU, unlike those of other models; before the defaults are set."""
    for section in ("teachers", "judges"):
        for entry in config.get(section, {}).values():
            if is_endpoint(entry):
                entry.setdefault("gpus", 0)


def wrong_gpus(config: dict) -> list[str]:
    """Models whose engine needs another number of GPUs than their jobs ask for."""
    problems = []
    for section in ("teachers", "bases", "judges"):
        for name, entry in config[section].items():
            if setting := gpus_setting(entry):
                needed, gpus = entry[entry["engine"]][setting], entry["gpus"]
                if gpus not in (0, needed):
                    problems.append(f"{section}.{name}: gpus is {gpus}, but {entry['engine']}.{setting} is {needed}")
            elif is_endpoint(entry) and entry["gpus"]:
                problems.append(f"{section}.{name}: gpus is {entry['gpus']}, but an endpoint uses no GPU")
    return problems


def wrong_batches(config: dict) -> list[str]:
    """Models that ask for batches of an endpoint, but have another engine."""
    models = {f"{part}.{name}": config[part][name] for part in ("teachers", "judges") for name in config[part]}
    return [
        f"{place}.openai.batch: the engine {entry['engine']} has no Batch API: remove it, or set engine: openai"
        for place, entry in models.items()
        if entry.get("openai", {}).get("batch") and not is_batched(entry)
    ]


def wrong_template_settings(config: dict) -> list[str]:
    """Endpoints that would get chat_template_kwargs twice."""
    return [
        f"{section}.{name}: chat_template_kwargs is also in sampling.options: delete it there"
        for section in ("teachers", "judges")
        for name, entry in config[section].items()
        if "chat_template_kwargs" in entry and "chat_template_kwargs" in entry["sampling"].get("options", {})
    ]


def wrong_lengths(config: dict) -> list[str]:
    """Teachers whose thinking is scored and trained on, and longer than the rows of a base may be.

    What is cut at the end of a row is then the answer.
    """
    limits = {name: config[name]["max_length"] for name in ("likelihoods", "finetune")}
    problems = []
    for name, teacher in config["teachers"].items():
        longest = teacher.get("sampling", {}).get("max_new_tokens", 0)
        if teacher.get("reasoning") == "keep" and longest >= min(limits.values()):
            short = " and ".join(f"{key}.max_length ({n})" for key, n in limits.items() if longest >= n)
            problems.append(
                f"teachers.{name}: with `reasoning: keep` an answer has up to sampling.max_new_tokens ({longest}): "
                f"raise {short} above it"
            )
    return problems


def wrong_names(config: dict) -> list[str]:
    """Names that are ambiguous in the tables, and a study that compares no teacher."""
    problems = []
    if "average" in config["bases"]:
        problems.append("bases.average: in the tables this is the mean over bases: choose another name")
    for name in sorted(set(config["bases"]) & set(config["reference_models"])):
        problems.append(f"reference_models.{name}: a base has this name too: choose another name")
    if not any(teacher["compare"] and not is_pool(teacher) for teacher in config["teachers"].values()):
        problems.append("teachers: no teacher is compared: set `compare: true` for at least one that is not a pool")
    return problems


def fill_candidates(config: dict) -> None:
    """Of rows with one instruction, an unpaired import takes the first, whose instruction it also brings."""
    if config["compare"] == "unpaired":
        for teacher in config["teachers"].values():
            if "import" in teacher:
                teacher["candidates"] = teacher["candidates"] or 1


def wrong_unpaired(config: dict) -> list[str]:
    """Teachers of an unpaired comparison that do not bring instructions of their own."""
    if config["compare"] == "paired":
        return []
    problems = []
    for name, teacher in config["teachers"].items():
        if "import" not in teacher:
            kind = next(word for key, word in KINDS.items() if key in teacher)
            problems.append(
                f"teachers.{name}: {kind} has no instructions of its own, and with `compare: unpaired` every teacher "
                "is an import that brings its own"
            )
        elif not {"instruction", "messages"} & set(teacher["import"]["columns"]):
            problems.append(
                f"teachers.{name}.import.columns: name the column instruction or messages: with `compare: unpaired` "
                "each import brings its own instructions"
            )
        elif is_pool(teacher):
            problems.append(f"teachers.{name}.candidates: with `compare: unpaired` each instruction has one response")
    return problems


def is_pool(teacher: dict) -> bool:
    """Whether a teacher has several responses to each instruction, for other teachers to select from."""
    return (teacher.get("candidates") or 1) > 1


def is_greedy(teacher: dict) -> bool:
    """Whether a model always gives the same answer. An endpoint without a temperature takes its own."""
    temperature = teacher["sampling"]["temperature"]
    return temperature == 0 or (temperature is None and not is_endpoint(teacher))


def wrong_turns(config: dict) -> list[str]:
    """Prompts of several turns whose answers are compared as one text, instructions of several turns, two texts."""
    benchmarks = {f"benchmarks.{name}.prompts": entry for name, entry in config["benchmarks"].items()}
    sources = {where: entry.get("prompts", {}) for where, entry in benchmarks.items()}
    problems = []
    for where, source in {"instructions": config["instructions"], **sources}.items():
        if "user_turns" not in source.get("columns", {}):
            continue
        column = f"{where}.columns.user_turns"
        if others := sorted({"instruction", "messages"} & set(source["columns"])):
            problems.append(f"{column}: replaces {' and '.join(others)}: name one of them")
        if where == "instructions":
            problems.append(f"{column}: only prompts of benchmarks have turns: take messages, or the first turn")
        elif (name := benchmarks[where].get("protocol")) in PROTOCOLS and not PROTOCOLS[name].of_turns:
            takers = " or ".join(name for name, other in PROTOCOLS.items() if other.of_turns)
            problems.append(
                f"{column}: the protocol {name} compares one answer to each prompt: take the protocol {takers}, or the "
                "column instruction with the first turn, such as [turns, 0]"
            )
    return problems


def wrong_exact_benchmark(name: str, benchmark: dict) -> list[str]:
    """What the protocol `exact` cannot compare answers by."""
    if benchmark.get("protocol") != "exact":
        return []
    problems = []
    if "reference" not in benchmark["prompts"]["columns"]:
        problems.append(f"benchmarks.{name}.prompts.columns: protocol exact needs the column reference")
    if bool(benchmark["recipe"]) == bool(benchmark["answer_pattern"]):
        problems.append(f"benchmarks.{name}: protocol exact needs either answer_pattern or a recipe")
    if benchmark["recipe"] and (benchmark["reference_pattern"] or benchmark["ignore_case"] or benchmark["numeric"]):
        problems.append(f"benchmarks.{name}.recipe: replaces reference_pattern, ignore_case and numeric: remove them")
    for key in ("answer_pattern", "reference_pattern"):
        try:
            if benchmark[key] and not re.compile(benchmark[key]).groups:
                problems.append(f"benchmarks.{name}.{key}: put the answer in a group, in parentheses")
        except re.error as error:
            problems.append(f"benchmarks.{name}.{key}: not a regular expression: {error}")
    return problems
