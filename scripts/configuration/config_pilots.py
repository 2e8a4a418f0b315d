"""What does not fit in the section `pilots` of a configuration, before a pilot is trained."""

from scripts.configuration.config_references import scores_of
from scripts.configuration.config_values import is_pool
from scripts.configuration.protocols import PROTOCOLS
from scripts.tables.names import nearest


def wrong_pilots(config: dict) -> list[str]:
    """One line per problem of a configuration that is filled with its defaults; none without the section."""
    if "pilots" not in config:
        return []
    return [*wrong_teachers(config), *wrong_sizes(config), *wrong_score(config)]


def wrong_teachers(config: dict) -> list[str]:
    """Teachers that are not there or have no responses of their own, or fewer than are asked for."""
    teachers, given = config["teachers"], config["pilots"]["teachers"]
    trained = [name for name, entry in teachers.items() if not is_pool(entry)]
    problems = []
    if config["compare"] == "unpaired":
        problems.append(
            "pilots: need the same instructions for all teachers, so not `compare: unpaired`: remove pilots"
        )
    if isinstance(given, list):
        return problems + [
            f"pilots.teachers: no teacher {name} that bases are trained on{nearest(name, trained)}"
            for name in given
            if name not in trained
        ]
    compared = [name for name in trained if teachers[name]["compare"]]
    needed = 2 if given == "all" else given
    if len(compared) < needed:
        problems.append(f"pilots.teachers: {given}, but {len(compared)} are compared: write a smaller number")
    return problems


def wrong_sizes(config: dict) -> list[str]:
    """Sizes above the number of instructions or the target."""
    pilots, n = config["pilots"], config["instructions"]["n"]
    largest, problems = max(pilots["sizes"]), []
    if pilots["sizes"] != sorted(pilots["sizes"]):
        problems.append(f"pilots.sizes: write them from small to large: {sorted(pilots['sizes'])}")
    if n and largest > n:
        problems.append(
            f"pilots.sizes: {largest} is more than the {n} of instructions.n: raise that, or lower the size"
        )
    if pilots["target"] < largest:
        problems.append(f"pilots.target: {pilots['target']} is less than the size {largest}: it is what sizes lead to")
    return problems


def wrong_score(config: dict) -> list[str]:
    """A score that no benchmark gives, or that has no value for each prompt."""
    score, benchmarks = config["pilots"]["score"], config["benchmarks"]
    usable = [
        name
        for benchmark, entry in benchmarks.items()
        if entry.get("protocol") in PROTOCOLS and PROTOCOLS[entry["protocol"]].of_prompts
        for name in scores_of(benchmark, entry)
    ]
    if score in usable:
        return []
    if score in [name for benchmark, entry in benchmarks.items() for name in scores_of(benchmark, entry)]:
        kinds = ", ".join(name for name, protocol in PROTOCOLS.items() if protocol.of_prompts)
        return [
            f"pilots.score: {score} has no value for each prompt: take one of a benchmark with the protocol {kinds}"
        ]
    return [f"pilots.score: no benchmark gives {score}{nearest(score, usable)}"]
