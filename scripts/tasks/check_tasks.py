r"""Check that the installed lm-evaluation-harness has the tasks of a study, and their scores: one line per problem.

python -m scripts.tasks.check_tasks --benchmarks '{"knowledge": {"tasks": ["gsm8k"], "include_path": null}}' \
    --ap knowledge.gsm8k:exact_match:strict-match --output results/mine/checks/tasks.json

Nothing is downloaded. Tasks that would run code of their data set, or code that the model writes, are problems, too.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

from scripts.tables.text_files import write_json
from scripts.tasks.installed_tasks import read_tasks
from scripts.tasks.known_tasks import leaves, scores_of_task, wrong_task


def main():
    args = parse_args()
    problems, facts = [], {}
    for name, benchmark in args.benchmarks.items():
        configs, tags, _ = read_tasks(benchmark["include_path"], tuple(benchmark["tasks"]))
        wrong = [line for task in benchmark["tasks"] if (line := wrong_task(task, configs, tags))]
        problems += [f"benchmarks.{name}.tasks: {line} (lm_eval {version('lm_eval')})" for line in wrong]
        if not wrong:
            problems += wrong_scores(name, args.ap, configs)
            facts[name] = {task: len(leaves(task, configs, tags)) for task in benchmark["tasks"]}
    if problems:
        raise SystemExit("\n".join(problems))
    write_json({"lm_eval": version("lm_eval"), "benchmarks": facts}, args.output)
    print(json.dumps(facts, indent=2))


def wrong_scores(benchmark: str, ap: list[str], configs: dict[str, dict]) -> list[str]:
    """One line for each score under `ap` that a task of the benchmark does not give."""
    problems = []
    for name in ap:
        of, _, score = name.rpartition(".")
        if of != benchmark:
            continue
        available = scores_of_task(score.partition(":")[0], configs)
        if available is not None and score not in available:
            known = ", ".join(f"{benchmark}.{known}" for known in available)
            problems.append(f"ap: there is no score {name}; the task has {known or 'none'}")
    return problems


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--benchmarks", type=json.loads, required=True, help="name to tasks and include_path of a benchmark, as JSON"
    )
    parser.add_argument("--ap", nargs="*", default=[], help="names of scores, such as knowledge.mmlu:acc")
    parser.add_argument("--output", type=Path, required=True, help="JSON: for each task, how many it consists of")
    return parser.parse_args()


if __name__ == "__main__":
    main()
