"""Whether the checkpoints that are not there yet fit on the disk.

python -m scripts.checks.check_disk --facts results/mine/checks/all.json --pairs base/teacher-a base/teacher-b \
    --checkpoints results/mine/checkpoints --output results/mine/checks/disk.json
"""

import argparse
import json
import shutil
from pathlib import Path

from scripts.tables.text_files import write_json


def main():
    args = parse_args()
    missing = [pair for pair in args.pairs if not (args.checkpoints / pair / "manifest.json").exists()]
    needed = {
        base: sum(pair.startswith(f"{base}/") for pair in missing) * facts.get("weight_bytes", 0)
        for base, facts in json.loads(args.facts.read_text(encoding="utf-8"))["bases"].items()
    }
    existing = next(path for path in (args.checkpoints, *args.checkpoints.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    total = sum(needed.values())
    if total > free:
        parts = ", ".join(f"{base} {n / 1e9:.1f} GB" for base, n in needed.items())
        raise SystemExit(
            f"the checkpoints need {total / 1e9:.1f} GB ({parts}), and {free / 1e9:.1f} GB are free: free disk space"
        )
    write_json({"checkpoint_bytes": needed}, args.output)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, required=True, help="JSON of check_models.py")
    parser.add_argument("--pairs", nargs="*", required=True, help="base/teacher, each pair that is fine-tuned")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of the study's checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="JSON, written if the checkpoints fit")
    return parser.parse_args()


if __name__ == "__main__":
    main()
