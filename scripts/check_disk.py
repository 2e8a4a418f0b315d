"""Whether the checkpoints still to be made fit on the disk.

python scripts/check_disk.py --facts results/mine/checks/all.json --teachers teacher-a teacher-b \
    --checkpoints results/mine/checkpoints --output results/mine/checks/disk.json
"""

import argparse
import json
import shutil
from pathlib import Path

from rows import write_json


def main():
    args = parse_args()
    needed = {}
    for base, facts in json.loads(args.facts.read_text())["bases"].items():
        made = [t for t in args.teachers if (args.checkpoints / base / t / "manifest.json").exists()]
        needed[base] = (len(args.teachers) - len(made)) * facts.get("weight_bytes", 0)
    free = shutil.disk_usage(args.output.parent).free
    total = sum(needed.values())
    if total > free:
        parts = ", ".join(f"{base} {n / 1e9:.1f} GB" for base, n in needed.items())
        raise SystemExit(f"checkpoints need {total / 1e9:.1f} GB ({parts}); {free / 1e9:.1f} GB are free here")
    write_json({"checkpoint_bytes": needed}, args.output)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, required=True, help="JSON of check_models.py")
    parser.add_argument("--teachers", nargs="+", required=True, help="teachers each base is fine-tuned on")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of the study's checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="JSON, written if they fit")
    return parser.parse_args()


if __name__ == "__main__":
    main()
