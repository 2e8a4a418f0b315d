"""Write the instructions and the held-out prompts of the miniature study, each with its reference answer.

python -m scripts.miniature.write_miniature_instructions \
    --seed 0 --instructions results/world/instructions.jsonl --n 3000 \
    --held-out results/world/held_out.jsonl --n-held-out 300

Each instruction occurs once, in one of the two files.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.miniature.miniature_tasks import draw_tasks
from scripts.tables.files import write_table

VERSION = 2


def main():
    args = parse_args()
    wanted = args.n + args.n_held_out
    tasks = {}
    for task in draw_tasks(f"instructions {args.seed}"):
        tasks.setdefault(task.instruction, task)
        if len(tasks) == wanted:
            break
    rows = [{"instruction": t.instruction, "answer": t.answer, "kind": t.kind} for t in tasks.values()]
    write_table(pl.DataFrame(rows[: args.n_held_out]), args.held_out)
    write_table(pl.DataFrame(rows[args.n_held_out :]), args.instructions)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--instructions", type=Path, required=True, help="JSON lines of instruction, answer, kind")
    parser.add_argument("--n", type=int, required=True, help="number of instructions")
    parser.add_argument("--held-out", type=Path, required=True, help="JSON lines of the held-out prompts")
    parser.add_argument("--n-held-out", type=int, required=True, help="number of held-out prompts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
