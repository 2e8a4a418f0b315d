"""The tasks of the installed lm-evaluation-harness, and a user's own."""

from functools import cache

INSTALL = "add --sdm conda to the command, or install it: pip install 'lm-eval[hf]==0.4.13'"


@cache
def read_tasks(include_path: str | None) -> tuple[dict[str, dict], dict[str, list[str]], object]:
    """The configurations of all tasks and groups, the tasks of each tag, and lm_eval's TaskManager.

    include_path: a folder with the YAML files of own tasks. Exits if lm_eval is not installed.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError:
        raise SystemExit(f"the protocol lm_eval needs lm-evaluation-harness, which is not here: {INSTALL}") from None
    manager = TaskManager(include_path=include_path)
    configs = {name: entry.cfg for name, entry in manager.task_index.items() if entry.cfg is not None}
    tags = {name: sorted(manager.task_index[name].tags) for name in manager.all_tags}
    return configs, tags, manager
