"""Print what was found of each model, and which could not be asked: the end of `snakemake check`.

python -m scripts.checks.print_checks --facts results/mine/checks/all.json --disk results/mine/checks/disk.json
"""

import argparse
import json
from pathlib import Path


def main():
    args = parse_args()
    if not args.facts:
        print("All models are made by the study itself: there is none to look at.")
        return
    facts = json.loads(args.facts.read_text(encoding="utf-8"))
    found = [(section, name, told) for section, models in facts.items() for name, told in models.items()]
    for section, name, told in found:
        print(f"  {section}.{name}: {described(told)}")
    unasked = sum("not checked" in told for _, _, told in found)
    if unasked < len(found):
        print(f"Nothing is wrong with the {len(found) - unasked} of {len(found)} models that were looked at.")
    if args.disk and (needed := sum(json.loads(args.disk.read_text(encoding="utf-8"))["checkpoint_bytes"].values())):
        print(f"Checkpoints still to be made of them take {needed / 1e9:.1f} GB, for which there is room.")
    if unasked:
        print(
            f"{unasked} of {len(found)} models were not checked: to ask for them once more, delete {args.facts.parent}."
        )


def described(told: dict) -> str:
    """One model's facts in a line."""
    if "not checked" in told:
        return f"{told['model']}, not checked: {told['not checked']}"
    if "weight_bytes" not in told:
        return f"{told['model']}, an endpoint whose key is set"
    parts = [told["model"], f"commit {told['commit']}" if told["commit"] else "a folder"]
    parts.append(f"{told['weight_bytes'] / 1e9:.2f} GB of weights")
    parts.append(f"{told['context_length']} tokens of context" if told.get("context_length") else "")
    return ", ".join(part for part in parts if part)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--facts", type=Path, nargs="?", help="JSON of check_models.py, where there was a model to check"
    )
    parser.add_argument("--disk", type=Path, nargs="?", help="JSON of check_disk.py, likewise")
    return parser.parse_args()


if __name__ == "__main__":
    main()
