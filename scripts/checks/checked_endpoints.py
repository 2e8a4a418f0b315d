"""Which endpoints are asked before a study begins, and how its jobs will ask them."""

from scripts.configuration.config_engines import is_endpoint
from scripts.configuration.entries import ENGINE_KEYS
from scripts.configuration.protocols import judge_template_of


def endpoints_to_ask(config: dict, judging: bool) -> dict[str, dict]:
    """Place in the configuration to what a question to this endpoint needs, for check_endpoints.py.

    config: filled with its defaults. judging: also the judges, once for each benchmark, with its template.
    """
    asked = {
        f"teachers.{name}": {"model": how_reached(entry), "sampling": entry["sampling"]}
        for name, entry in config["teachers"].items()
        if "model" in entry and is_endpoint(entry)
    }
    for name, benchmark in config["benchmarks"].items() if judging else ():
        judge = judge_entry(config, benchmark)
        if is_endpoint(judge):
            asked[f"benchmarks.{name}"] = {
                "model": how_reached(judge),
                "sampling": judge["sampling"],
                "protocol": benchmark["protocol"],
                "judge_templates": [judge_template_of(benchmark)],
            }
    return asked


def judge_templates(config: dict) -> dict[str, dict[str, list[str]]]:
    """Judge to `judge_templates`: the files that its benchmarks fill, for the language models that judge."""
    used: dict[str, set[str]] = {}
    for benchmark in config["benchmarks"].values():
        if "engine" in judge_entry(config, benchmark):
            used.setdefault(benchmark["judge"], set()).add(judge_template_of(benchmark))
    return {name: {"judge_templates": sorted(templates)} for name, templates in used.items()}


def judge_entry(config: dict, benchmark: dict) -> dict:
    """The entry of the language model that judges a benchmark; nothing if a reward model or reference answers do."""
    return config["judges"].get(benchmark.get("judge"), {}) if "protocol" in benchmark else {}


def how_reached(entry: dict) -> dict:
    """The keys of a model entry that its engine reads."""
    return {key: entry[key] for key in (*ENGINE_KEYS, entry["engine"]) if key in entry}
