r"""Whether the checkpoints and responses that are not there yet fit on the disk.

python -m scripts.checks.check_disk --facts results/mine/checks/all.json --pairs base/teacher-a base/teacher-b \
    --study '{"study": "mine", "teachers": {...}, ...}' \
    --checkpoints results/mine/checkpoints --output results/mine/checks/disk.json
"""

import argparse
import json
import shutil
from pathlib import Path

from scripts.plan.plan_costs import text_bytes
from scripts.plan.study_sizes import Study
from scripts.tables.text_files import write_json


def main():
    args = parse_args()
    missing = [pair for pair in args.pairs if not (args.checkpoints / pair / "manifest.json").exists()]
    needed = {
        base: sum(pair.startswith(f"{base}/") for pair in missing) * facts.get("weight_bytes", 0)
        for base, facts in json.loads(args.facts.read_text(encoding="utf-8"))["bases"].items()
    }
    texts = bytes_of_responses(Study(args.study)) if args.study else 0
    existing = next(path for path in (args.checkpoints, *args.checkpoints.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    total = sum(needed.values()) + texts
    if total > free:
        parts = [f"{base} {n / 1e9:.1f} GB" for base, n in needed.items()]
        parts += [f"responses {texts / 1e9:.1f} GB"] if texts else []
        raise SystemExit(
            f"checkpoints and responses need {total / 1e9:.1f} GB ({', '.join(parts)}), and {free / 1e9:.1f} GB are "
            "free: free disk space"
        )
    write_json({"checkpoint_bytes": needed, "response_bytes": texts}, args.output)


def bytes_of_responses(study: Study) -> float:
    """Of the teachers that have to answer yet, with their thinking."""
    asked = [name for name, entry in study.config["teachers"].items() if "model" in entry]
    missing = [name for name in asked if not (study.results / f"responses/{name}.parquet").exists()]
    return sum(text_bytes(study.responses(name) * study.written_tokens(name)) for name in missing)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, required=True, help="JSON of check_models.py")
    parser.add_argument("--pairs", nargs="*", required=True, help="base/teacher, each pair that is fine-tuned")
    parser.add_argument("--study", type=json.loads, help="study, compare, instructions, teachers and plan, as JSON")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of the study's checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="JSON, written if they fit")
    return parser.parse_args()


if __name__ == "__main__":
    main()
