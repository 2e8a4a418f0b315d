"""Names in a configuration that another section should define and does not."""

import re

from scripts.configuration.config_values import is_greedy, is_pool
from scripts.configuration.protocols import PROTOCOLS
from scripts.tables.names import nearest

TURN = re.compile(r"\.turn_([1-9]\d*)$")  # the end of the name of a score of one turn
PAPERS_AP = ["alpaca_eval.lc", "arena_hard.wr"]


def wrong_references(config: dict) -> list[str]:
    """One line per problem of a configuration that is filled with its defaults."""
    problems = []
    for name, benchmark in config["benchmarks"].items():
        problems += wrong_benchmark(f"benchmarks.{name}", benchmark, config)
    for name, teacher in config["teachers"].items():
        problems += wrong_teacher(f"teachers.{name}", teacher, config)
    reward_model = config["car"]["reward_model"]
    if reward_model not in config["reward_models"]:
        problems.append(
            f"car.reward_model: no reward model {reward_model}{nearest(reward_model, config['reward_models'])}"
        )
    return problems + wrong_scores(config)


def wrong_scores(config: dict) -> list[str]:
    """Scores under `ap` that no benchmark gives."""
    benchmarks = config["benchmarks"]
    scored = {name: scores_of(name, benchmark) for name, benchmark in benchmarks.items() if scores_of(name, benchmark)}
    tasks = {name: benchmark["tasks"] for name, benchmark in benchmarks.items() if "tasks" in benchmark}
    if scored and not config["ap"]:
        return [f"ap: names no score: write, for example, ap: [{scored[min(scored)][0]}]"]
    problems = []
    for score in config["ap"]:
        name = score.rpartition(".")[0]
        task, _, metric = score.removeprefix(f"{name}.").partition(":")
        if name in tasks and (task not in tasks[name] or not metric):
            hint = nearest(task, tasks[name])
            problems.append(
                f"ap: {score} names no task and metric of {name}: write, for example, {scored[name][0]}{hint}"
            )
        elif name in tasks:
            continue  # check_tasks asks lm_eval for the metrics of the task
        elif name not in scored:
            problems.append(f"ap: no benchmark {name} with a protocol or a table of scores{nearest(name, scored)}")
        elif score not in scored[name] and not is_later_turn(score, scored[name]):
            problems.append(f"ap: {name} has no such score{nearest(score, scored[name])}")
    return problems


def is_later_turn(score: str, known: list[str]) -> bool:
    """Whether a score is that of a turn, if prompts have turns: how many they have is in the table of the prompts."""
    return TURN.sub(".turn_1", score) in known and TURN.search(score) is not None


def scores_of(name: str, benchmark: dict) -> list[str]:
    """The scores of a benchmark's table or protocol, each as benchmark.score; none if its answers are not judged."""
    if "scores" in benchmark:
        return [f"{name}.{score}" for score in benchmark["scores"]["columns"]["scores"]]
    if "tasks" in benchmark:  # which metrics a task has, lm_eval knows: these are the usual ones
        return [f"{name}.{task}:acc" for task in benchmark["tasks"]]
    if not benchmark["protocol"]:
        return []
    protocol = PROTOCOLS[benchmark["protocol"]]
    scores = protocol.length_controlled if "length_control" in benchmark else protocol.scores
    if "user_turns" in benchmark.get("prompts", {}).get("columns", {}):
        scores = protocol.of_turns or scores
    return [f"{name}.{score}" for score in scores]


def default_ap(config: dict) -> list[str]:
    """The paper's two scores, where the configuration has both of its benchmarks; else none."""
    available = [score for name, benchmark in config["benchmarks"].items() for score in scores_of(name, benchmark)]
    return list(PAPERS_AP) if set(PAPERS_AP) <= set(available) else []


def wrong_benchmark(where: str, benchmark: dict, config: dict) -> list[str]:
    """What a protocol needs and does not get, a judge that is also a metric, errors of scores that are not imported."""
    models = [name for name, teacher in config["teachers"].items() if "model" in teacher]
    problems = []
    if "scores" in benchmark:
        columns = benchmark["scores"]["columns"]
        unknown = [name for name in columns["errors"] if name not in columns["scores"]]
        return [f"{where}.scores.columns.errors: no score {n}{nearest(n, columns['scores'])}" for n in unknown]
    if "tasks" in benchmark:
        own_code = [name for name, base in config["bases"].items() if base["trust_remote_code"]]
        return [f"{where}: lm_eval runs no code of a model, which base {name} needs" for name in own_code]
    if "baseline" in benchmark and benchmark["baseline"] not in models:
        name = benchmark["baseline"]
        problems.append(f"{where}.baseline: no teacher {name} with a model{nearest(name, models)}")
    if not benchmark["protocol"]:
        return problems
    protocol = PROTOCOLS[benchmark["protocol"]]
    if protocol.baseline and ("baseline" in benchmark) == ("baseline_answers" in benchmark):
        problems.append(f"{where}: name either a baseline or baseline_answers")
    if not protocol.baseline and (given := [key for key in ("baseline", "baseline_answers") if key in benchmark]):
        problems.append(f"{where}.{given[0]}: the protocol {benchmark['protocol']} compares with nothing: remove it")
    if "length_control" in benchmark and not protocol.length_controlled:
        takers = " or ".join(name for name, other in PROTOCOLS.items() if other.length_controlled)
        problems.append(f"{where}.length_control: only for the protocol {takers}")
    if "length_control" in benchmark and "instruction" not in benchmark["prompts"]["columns"]:
        problems.append(f"{where}.length_control: needs the column instruction of the prompts, not messages")
    if benchmark["strict_verdicts"] and benchmark["protocol"] not in ("arena_hard", "arena_hard_v2"):
        problems.append(f"{where}.strict_verdicts: only for the protocols arena_hard and arena_hard_v2")
    return problems + wrong_judge(where, benchmark, config) if protocol.judge else problems


def wrong_judge(where: str, benchmark: dict, config: dict) -> list[str]:
    """A judge of the wrong kind, or one that also scores the responses."""
    kind = PROTOCOLS[benchmark["protocol"]].judge
    kinds = {
        name: "reward model" if "reward" in judge else "language model" for name, judge in config["judges"].items()
    }
    fitting = [name for name, its_kind in kinds.items() if its_kind == kind]
    if "judge" not in benchmark:
        return [f"{where}.judge: the protocol {benchmark['protocol']} needs a {kind} of the section judges"]
    if benchmark["judge"] not in fitting:
        return [
            f"{where}.judge: no {kind} {benchmark['judge']} in the section judges{nearest(benchmark['judge'], fitting)}"
        ]
    judge = config["judges"][benchmark["judge"]]
    same = [
        name
        for name, entry in config["reward_models"].items()
        if entry["model"] == judge.get("reward", {}).get("model")
    ]
    return [f"{where}.judge: {name} is a metric too, and would predict itself: choose another model" for name in same]


def wrong_teacher(where: str, teacher: dict, config: dict) -> list[str]:
    """What a selection, an import or a mix names and the configuration lacks; a pool whose answers are all equal."""
    teachers, reward_models = config["teachers"], config["reward_models"]
    pools = [name for name, entry in teachers.items() if is_pool(entry)]
    if "mix" in teacher:
        usable = [name for name, entry in teachers.items() if name not in pools and "mix" not in entry]
        wrong = [name for name in teacher["sources"] or [] if name not in usable]
        problems = [f"{where}.sources: no teacher {n} with responses of its own{nearest(n, usable)}" for n in wrong]
        if teacher["base"] not in config["bases"]:
            problems.append(f"{where}.base: no base {teacher['base']}{nearest(teacher['base'], config['bases'])}")
        return problems
    problems, scored_by = [], []
    if "select" in teacher:
        scored_by = [teacher["reward_model"]] if "reward_model" in teacher else []
        if teacher["pool"] not in pools:
            pool = teacher["pool"]
            problems.append(f"{where}.pool: no teacher {pool} with several candidates{nearest(pool, pools)}")
    elif "import" in teacher:
        scored_by = teacher["import"]["rewards"]
    elif is_pool(teacher) and is_greedy(teacher):
        problems.append(f"{where}: {teacher['candidates']} candidates at temperature 0 are all the same: raise it")
    missing = [name for name in scored_by if name not in reward_models]
    return problems + [f"{where}: no reward model {n}{nearest(n, reward_models)}" for n in missing]
