r"""Print what was found about each table, endpoint and model, and what could not be checked: the end of `check`.

python -m scripts.checks.print_checks --facts results/mine/checks/all.json --disk results/mine/checks/disk.json \
    --sources results/mine/checks/sources.json
"""

import argparse
import json
from pathlib import Path


def main():
    args = parse_args()
    tables = json.loads(args.sources.read_text(encoding="utf-8")) if args.sources else {}
    for name, facts in tables.items():
        print(f"  {name}: {table_in_words(facts)}")
    if any("not checked" in facts for facts in tables.values()):
        print(f"To look again at tables that were not checked, delete {args.sources}.")
    for name, facts in json.loads(args.endpoints.read_text(encoding="utf-8")).items() if args.endpoints else ():
        print(f"  {name}: {answer_in_words(facts)}")
    if args.tasks:
        print(f"  {tasks_in_words(json.loads(args.tasks.read_text(encoding='utf-8')))}")
    if not args.facts:
        print("The study trains all of its models itself: there is nothing to check.")
        return
    models = [
        (f"{section}.{name}", facts)
        for section, entries in json.loads(args.facts.read_text(encoding="utf-8")).items()
        for name, facts in entries.items()
    ]
    for name, facts in models:
        print(f"  {name}: {in_words(facts)}")
    unchecked = sum("not checked" in facts for _, facts in models)
    if unchecked < len(models):
        print(f"{models_in_words(len(models) - unchecked, len(models))} checked: nothing is wrong.")
    if args.disk and (needed := sum(json.loads(args.disk.read_text(encoding="utf-8"))["checkpoint_bytes"].values())):
        print(f"Checkpoints that are not there yet need {needed / 1e9:.1f} GB, which the disk has.")
    if unchecked:
        print(f"{models_in_words(unchecked, len(models))} not checked. To try again, delete {args.facts.parent}.")


def in_words(facts: dict) -> str:
    """One model's facts in a line."""
    if "not checked" in facts:
        return f"{facts['model']}, not checked: {facts['not checked']}"
    if "weight_bytes" not in facts:
        return f"{facts['model']}, an endpoint whose key is set"
    parts = [facts["model"], f"commit {facts['commit']}" if facts["commit"] else "a folder"]
    parts.append(f"{facts['weight_bytes'] / 1e9:.2f} GB of weights")
    parts.append(f"{facts['context_length']} tokens of context" if facts.get("context_length") else "")
    return ", ".join(part for part in parts if part)


def table_in_words(facts: dict) -> str:
    """What is in the first rows of a table, in a line."""
    if "not checked" in facts:
        return f"not checked: {facts['not checked']}"
    needed = " and ".join(facts["needed"])
    return f"{facts['table']}, {facts['usable']:,} of the first {facts['rows']:,} rows have a text in {needed}"


def answer_in_words(facts: dict) -> str:
    """What an endpoint answered to a small question, in a line."""
    answer = f"answered {facts['answer'][:60]!r}" if facts["answer"] else f"answered without a text ({facts['reason']})"
    tokens = f" in {facts['n_tokens']} tokens" if facts["n_tokens"] else ""
    unread = ", which cannot be read as a verdict: look at the judge" if facts.get("verdict_read") is False else ""
    return f"{facts['model']} {answer}{tokens}{unread}"


def tasks_in_words(facts: dict) -> str:
    """The tasks of lm_eval, in a line."""
    names = [f"{name}.{task}" for name, tasks in facts["benchmarks"].items() for task in tasks]
    return f"lm_eval {facts['lm_eval']} has {', '.join(names)}"


def models_in_words(n: int, total: int) -> str:
    return f"{n} of {total} model{'' if total == 1 else 's'} {'was' if n == 1 else 'were'}"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, nargs="?", help="JSON of check_models.py, if there was a model to check")
    parser.add_argument("--endpoints", type=Path, nargs="?", help="JSON of check_endpoints.py, if one was asked")
    parser.add_argument("--tasks", type=Path, nargs="?", help="JSON of check_tasks.py, if there were tasks of lm_eval")
    parser.add_argument("--disk", type=Path, nargs="?", help="JSON of check_disk.py, if there was one")
    parser.add_argument("--sources", type=Path, nargs="?", help="JSON of check_sources.py, if there was a table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
