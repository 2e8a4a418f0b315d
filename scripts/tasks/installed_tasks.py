"""The tasks of the installed lm-evaluation-harness, and a user's own."""

from functools import cache

from scripts.tasks.known_tasks import are_own

INSTALL = "add --sdm conda to the command, or install it: pip install 'lm-eval[hf]==0.4.13'"


@cache
def read_tasks(
    include_path: str | None, names: tuple[str, ...]
) -> tuple[dict[str, dict], dict[str, list[str]], object]:
    """The configurations of tasks and groups, the tasks of each tag, and lm_eval's TaskManager.

    include_path: a folder with the YAML files of own tasks. names: of the tasks to run; if all are own ones, the 14,000
    of lm_eval, which take ten seconds, are not read. Exits if lm_eval is not installed.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError:
        raise SystemExit(f"the protocol lm_eval needs lm-evaluation-harness, which is not here: {INSTALL}") from None
    own = described(TaskManager(include_path=include_path, include_defaults=False))
    return own if are_own(names, *own[:2]) else described(TaskManager(include_path=include_path))


def described(manager) -> tuple[dict[str, dict], dict[str, list[str]], object]:
    configs = {name: entry.cfg for name, entry in manager.task_index.items() if entry.cfg is not None}
    tags = {name: sorted(manager.task_index[name].tags) for name in manager.all_tags}
    return configs, tags, manager
