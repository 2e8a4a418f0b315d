"""What the configurations of lm_eval's tasks say: which tasks there are, their scores, the code that they would run.

`configs`: task or group to its configuration, as its YAML file has it. Nothing is downloaded, and no code runs.
"""

from collections.abc import Iterable

from scripts.tables.names import nearest

METRIC_SEPARATOR = ":"


def wrong_task(name: str, configs: dict[str, dict], tags: dict[str, list[str]]) -> str | None:
    """Why a task cannot be evaluated, in one line; None if it can. tags: names of several tasks, with these."""
    if name in tags:
        return f"{name} is the name of several tasks and has no score of its own: name them: {', '.join(tags[name])}"
    if name not in configs:
        return f"there is no task {name}{nearest(name, configs)}"
    tasks = leaves(name, configs, tags)
    for leaf, config in tasks.items():
        if config.get("unsafe_code"):
            return f"{leaf} runs code that the model writes, which this workflow never does: leave it out"
        if (config.get("dataset_kwargs") or {}).get("trust_remote_code"):
            return f"{leaf} needs Python code from its data set, which this workflow never runs: leave it out"
    if scores_of_task(name, configs) == []:
        return f"{name} has no score of its own: name its tasks: {', '.join(tasks)}"
    return None


def leaves(name: str, configs: dict[str, dict], tags: dict[str, list[str]]) -> dict[str, dict]:
    """The tasks of a task, group or tag, at any depth: name to configuration."""
    if name in tags:
        return {leaf: config for one in tags[name] for leaf, config in leaves(one, configs, tags).items()}
    config = configs.get(name, {})
    if "group" not in config:
        return {name: config}
    found = {}
    for part in listed(config["task"]):  # a name, or an entry that changes the settings of one
        own = part if isinstance(part, dict) else {"task": part}
        for one in listed(own.get("task") or own.get("group")):
            if isinstance(one, str):
                found |= {leaf: inner | own for leaf, inner in leaves(one, configs, tags).items()}
    return found


def are_own(names: Iterable, configs: dict[str, dict], tags: dict[str, list[str]]) -> bool:
    """Whether these tasks, and all parts of groups, are in `configs`, which has only own tasks.

    False also for a tag, which lm_eval's own tasks may have, too.
    """
    for name in names:
        if name in tags or name not in configs:
            return False
        parts = listed(configs[name]["task"]) if "group" in configs[name] else []
        own = [part.get("task") or part.get("group") if isinstance(part, dict) else part for part in parts]
        if not all(isinstance(part, str) for part in own) or not are_own(own, configs, tags):
            return False
    return True


def scores_of_task(name: str, configs: dict[str, dict]) -> list[str] | None:
    """The scores of a task or group, each as task:metric or task:metric:filter; None if its file does not say.

    Metrics of which less is better, such as perplexity, are no scores.
    """
    config = configs[name]
    if "group" in config:
        metrics = listed(config.get("aggregate_metric_list"))
        return [
            score_name(name, str(metric["metric"]), filtered)
            for metric in metrics
            for filtered in listed(metric.get("filter_list", "none"))
        ]
    if not config.get("metric_list"):
        return None
    filters = [entry["name"] for entry in config.get("filter_list") or []] or ["none"]
    return [
        score_name(name, str(metric["metric"]).rpartition(".")[2], filtered)
        for metric in config["metric_list"]
        if metric.get("higher_is_better", True)
        for filtered in filters
    ]


def score_name(task: str, metric: str, filtered: str) -> str:
    """The name of a score in the tables; the filter `none` has no name."""
    return METRIC_SEPARATOR.join([task, metric] if filtered == "none" else [task, metric, filtered])


def listed(value) -> list:
    """A value that may be a list, a single entry or nothing, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
