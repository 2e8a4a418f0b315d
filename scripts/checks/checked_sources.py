"""Which tables `check` looks at, and which of their columns a usable row has a text in."""

from scripts.configuration.config_files import source_entries, workflow_files
from scripts.configuration.config_references import TURN

KEYS = ("path", "dataset", "file", "subset", "split", "revision", "columns", "match", "turns", "system")
NEEDED = ("instruction", "response")  # the one without which a row of such a table is of no use: the last that it has


def sources_to_check(config: dict) -> dict[str, dict]:
    """Place in the configuration to source, with `needed`: columns; not of those that the workflow writes itself.

    config: filled with its defaults. Rewards of an import are columns of its table, too. `turn`: see
    last_turn, for prompts with turns.
    """
    checked = {}
    for where, entry in source_entries(config).items():
        if not entry or workflow_files(entry):
            continue
        rewards = {f"rewards.{name}": column for name, column in entry.get("rewards", {}).items()}
        source = {key: entry[key] for key in KEYS if key in entry}
        text = [name for name in NEEDED if name in entry["columns"]][-1:]
        if {"messages", "user_turns"} & set(entry["columns"]):
            text = ["response" if where.endswith(".import") else "instruction"]
        if "user_turns" in entry["columns"]:
            source["turn"] = last_turn(where.removeprefix("benchmarks.").removesuffix(".prompts"), config["ap"])
        if config["compare"] == "unpaired" and where.endswith(".import"):
            text = list(NEEDED)
        if where.endswith(".import"):
            name = where.removeprefix("teachers.").removesuffix(".import")
            source["candidates"] = config["teachers"][name]["candidates"]
        checked[where] = source | {"columns": entry["columns"] | rewards, "needed": text or list(entry["columns"])}
    return checked


def last_turn(benchmark: str, ap: list[str]) -> int:
    """The last turn of a benchmark's prompts whose own score is in `ap`; 0 without any."""
    found = [TURN.search(score) for score in ap if score.rpartition(".")[0] == benchmark]
    return max([int(turn.group(1)) for turn in found if turn], default=0)
