"""What no single key of a configuration tells: names that nobody has, values that do not go together."""

import difflib
import re

from scripts.configuration.config_engines import gpus_setting

PAPERS_AP = ["alpaca_eval.lc", "arena_hard.wr"]


def wrong_references(config: dict) -> list[str]:
    """Names in the config that another section should define."""
    teachers, benchmarks = config["teachers"], config.get("benchmarks", {})
    models = [name for name, teacher in teachers.items() if "model" in teacher]
    problems = [
        f"benchmarks.{name}.baseline: no teacher {b['baseline']} with a model{nearest(b['baseline'], models)}"
        for name, b in benchmarks.items()
        if "baseline" in b and b["baseline"] not in models
    ]
    for name, benchmark in benchmarks.items():
        problems += wrong_benchmark(f"benchmarks.{name}", benchmark, config)
    for name, teacher in teachers.items():
        problems += wrong_teacher(f"teachers.{name}", teacher, config)
    reward_model = config["car"]["reward_model"]
    if reward_model not in config["reward_models"]:
        near = nearest(reward_model, config["reward_models"])
        problems.append(f"car.reward_model: no reward model {reward_model}{near}")
    judged = [name for name, benchmark in benchmarks.items() if benchmark.get("protocol")]
    for score in config.get("ap", []):
        name = score.rpartition(".")[0]
        if "scores" in config and score not in config["scores"]["columns"]["scores"]:
            problems.append(f"ap: scores has no {score}{nearest(score, config['scores']['columns']['scores'])}")
        elif "scores" not in config and name not in judged:
            problems.append(f"ap: no benchmark {name} with a protocol{nearest(name, judged)}")
        elif "scores" not in config and score not in scores_of(name, benchmarks[name]):
            problems.append(f"ap: {name} has no such score{nearest(score, scores_of(name, benchmarks[name]))}")
    if (judged or "scores" in config) and not (config.get("ap") or default_ap(config)):
        example = f"{min(judged)}.wr" if judged else min(config["scores"]["columns"]["scores"])
        problems.append(f"ap: names no score: write, for example, ap: [{example}]")
    if judged and "scores" in config:
        problems.append(f"scores: {judged[0]} is judged here: scores come from judging or from a table, never both")
    return problems


def scores_of(name: str, benchmark: dict) -> list[str]:
    """The scores that a benchmark's protocol gives."""
    length = "lc" if "length_control" in benchmark else "length_only"
    kinds = {"exact": ["wr", "accuracy"], "alpaca_eval": ["wr", length], "arena_hard": ["wr"], "reward": ["wr"]}
    return [f"{name}.{kind}" for kind in kinds[benchmark["protocol"]]]


def default_ap(config: dict) -> list[str]:
    """The paper's two scores, where the config has both benchmarks as the paper has them."""
    benchmarks = config.get("benchmarks", {})
    available = [s for name, b in benchmarks.items() if b.get("protocol") for s in scores_of(name, b)]
    return PAPERS_AP if set(PAPERS_AP) <= set(available) else []


def wrong_benchmark(where: str, benchmark: dict, config: dict) -> list[str]:
    """Judges and baselines that a benchmark's protocol needs, or that make its scores worth nothing."""
    protocol, judges = benchmark.get("protocol"), config.get("judges", {})
    if not protocol:
        return []
    problems = []
    if ("baseline" in benchmark) == ("baseline_answers" in benchmark):
        problems.append(f"{where}: name either a baseline or baseline_answers")
    if "length_control" in benchmark and protocol != "alpaca_eval":
        problems.append(f"{where}.length_control: belongs to protocol alpaca_eval")
    if protocol == "exact":
        return problems
    fitting = [name for name, judge in judges.items() if ("reward" in judge) == (protocol == "reward")]
    if benchmark.get("judge") not in fitting:
        kind = "reward model" if protocol == "reward" else "language model"
        return [
            *problems,
            f"{where}.judge: no {kind} {benchmark.get('judge')}{nearest(benchmark.get('judge'), fitting)}",
        ]
    judge = judges[benchmark["judge"]].get("reward", {}).get("model")
    same = [name for name, entry in config["reward_models"].items() if entry["model"] == judge]
    return [*problems, *(f"{where}.judge: {name} is a metric too, and would predict itself" for name in same)]


def wrong_teacher(where: str, teacher: dict, config: dict) -> list[str]:
    """References of a selection, mix or import to what is not there, and pools that hold one answer several times."""
    teachers, reward_models = config["teachers"], config["reward_models"]
    pools = [name for name, entry in teachers.items() if entry.get("candidates", 1) > 1]
    problems = []
    if "mix" in teacher:
        known = [name for name, entry in teachers.items() if name not in pools and "mix" not in entry]
        wrong = [name for name in teacher.get("sources") or [] if name not in known]
        problems += [f"{where}.sources: no teacher {n} with responses of its own{nearest(n, known)}" for n in wrong]
        if teacher["base"] not in config["bases"]:
            problems.append(f"{where}.base: no base {teacher['base']}{nearest(teacher['base'], config['bases'])}")
        return problems
    if "select" in teacher:
        if teacher["pool"] not in pools:
            problems.append(
                f"{where}.pool: no teacher {teacher['pool']} with candidates{nearest(teacher['pool'], pools)}"
            )
        named = [teacher["reward_model"]] if "reward_model" in teacher else []
    else:
        named = teacher.get("import", {}).get("rewards", {})
    problems += [f"{where}: no reward model {n}{nearest(n, reward_models)}" for n in named if n not in reward_models]
    if teacher.get("candidates", 1) > 1 and not teacher.get("sampling", {}).get("temperature"):
        problems.append(f"{where}: {teacher['candidates']} candidates at temperature 0 would all be the same")
    return problems


def wrong_values(config: dict) -> list[str]:
    """What two keys together, or a value by itself, make impossible."""
    problems = []
    finetune = {"batch_size": 32, "micro_batch_size": 4} | config.get("finetune", {})
    batch, micro = finetune["batch_size"], finetune["micro_batch_size"]
    if batch % micro:
        problems.append(f"finetune: micro_batch_size {micro} does not divide {batch}")
    if "average" in config["bases"]:
        problems.append("bases.average: tables have this name for the mean over bases: choose another")
    for name, base in config["bases"].items():
        if base.get("processes", 1) > 1 and batch % (micro * base["processes"]):
            problems.append(
                f"bases.{name}.processes: {base['processes']} times {micro} does not divide batch_size {batch}"
            )
        if base.get("fsdp") and (base.get("lora") or base.get("processes", 1) == 1 or base.get("gpus") == 0):
            problems.append(f"bases.{name}.fsdp: needs several processes, a GPU for each, and no lora")
    for where, entry in ((f"{kind}.{name}", e) for kind in ("teachers", "bases") for name, e in config[kind].items()):
        setting, gpus = gpus_setting(entry), entry.get("gpus", 1)
        shared = entry.get(entry["engine"], {}).get(setting, 1) if setting else gpus
        if gpus not in (0, shared):
            problems.append(f"{where}: gpus {gpus}, but {entry['engine']}.{setting} {shared}")
    for name in sorted(set(config["bases"]) & set(config.get("reference_models", {}))):
        problems.append(f"reference_models.{name}: a base has this name too")
    derived = {"select", "mix"}
    if not any(
        t.get("compare", not derived & set(t)) for t in config["teachers"].values() if t.get("candidates", 1) == 1
    ):
        problems.append("teachers: none is compared")
    for name, benchmark in config.get("benchmarks", {}).items():
        if benchmark.get("protocol") != "exact":
            continue
        if "reference" not in benchmark["prompts"]["columns"]:
            problems.append(f"benchmarks.{name}.prompts.columns: protocol exact needs the column of the reference")
        for key in ("answer_pattern", "reference_pattern"):
            try:
                if benchmark.get(key) and not re.compile(benchmark[key]).groups:
                    problems.append(f"benchmarks.{name}.{key}: put the answer in a group, in parentheses")
            except re.error as error:
                problems.append(f"benchmarks.{name}.{key}: not a regular expression: {error}")
    return problems


def nearest(name: str, known) -> str:
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" (did you mean {near[0]}?)" if near else f" (there are: {', '.join(sorted(known))})" if known else ""
