"""The responses of the first teacher by CAR as a data set to fine-tune a base on, with its card.

python -m scripts.datasets.write_dataset --study miniature --base alpha --model ./results/world/alpha --revision \
    --chat-template config/templates/plain.jinja \
    --sources '{"terse-large": {"model": "./results/world/terse-large"}, ...}' \
    --teachers results/miniature/tables/teachers.csv --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/*.parquet --train results/miniature/datasets/alpha/train.parquet \
    --template-copy results/miniature/datasets/alpha/chat_template.jinja \
    --card results/miniature/datasets/alpha/README.md

TRL's conversational prompt-completion format. With the base's chat template, trained on as the card says, it gives the
token ids and labels of finetune.py, but for control tokens in a text, which TRL does not make inert. Responses without
a use, and those cut at the longest length, which TRL would end with an end of turn, are left out and counted in the
card. The card is written last.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.tables.files import read_csv, read_table, write_table, write_text

CARD = """\
---
configs:
- config_name: default
  data_files: train.parquet
---

# What {base} should learn from {teacher}

{n} responses of **{teacher}**, the first of {n_teachers} teachers by CAR ({car:.4g}) for the base model
`{model}` ({pinned}), compared on {n_common} instructions that all of them answered (study `{study}`).
CAR is r / (1 + beta L), of the responses' reward r and the base's loss L on them. {note}Whether it finds the best
teacher, only fine-tuning tells: see `tables/` there.

`train.parquet` has `id`, `prompt` and `completion`, the format of TRL's SFTTrainer. {left_out}

```python
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

folder = {folder!r}
tokenizer = AutoTokenizer.from_pretrained({model!r}, revision={revision!r})
tokenizer.chat_template = open(f"{{folder}}/chat_template.jinja", encoding="utf-8").read()
trainer = SFTTrainer(
    model={model!r},
    args=SFTConfig(output_dir="checkpoint", max_length=4096, model_init_kwargs={{"revision": {revision!r}}}),
    train_dataset=load_dataset(folder, split="train"),
    processing_class=tokenizer,
)
trainer.train()
```

Epochs, learning rate and batch are TRL's here; those of the study stand in its `config.yaml` under `finetune`.

The texts are the teacher's; its licence says what may be done with them. Where they come from:

```json
{source}
```
"""


def main():
    args = parse_args()
    ranked = read_csv(args.teachers).filter(pl.col("rank").is_not_null(), base=args.base)
    first = ranked.sort("rank", "teacher").row(0, named=True)
    said = responses_of(first["teacher"], args.responses)
    rows = said.join(
        read_table(args.instructions, columns=["id", "instruction"]),
        on="id",
        validate="1:1",
        maintain_order="left",
    )
    usable = rows.filter(pl.col("reason").is_null() & (pl.col("finish_reason") != "length"))
    write_table(
        usable.select("id", prompt=turn("user", "instruction"), completion=turn("assistant", "response")), args.train
    )
    write_text(args.chat_template.read_text(encoding="utf-8"), args.template_copy)
    card = CARD.format(
        base=args.base,
        study=args.study,
        model=args.model,
        revision=args.revision or "main",
        pinned=f"commit {args.revision}" if args.revision else "no commit pinned",
        teacher=first["teacher"],
        car=first["car"],
        note=f"Note: {first['note']}. " if first["note"] else "",
        n=usable.height,
        n_common=first["n"],
        n_teachers=ranked.height,
        left_out=left_out(rows),
        folder=str(args.card.parent),
        source=json.dumps(args.sources[first["teacher"]], indent=2),
    )
    write_text(card, args.card)
    print(f"{args.base}: {usable.height} responses of {first['teacher']}")


def responses_of(teacher: str, paths: list[Path]) -> pl.DataFrame:
    """The table whose rows are this teacher's."""
    path = next(path for path in paths if read_table(path, columns=["teacher"])[0].item() == teacher)
    return read_table(path, columns=["id", "response", "finish_reason", "reason"])


def turn(role: str, column: str) -> pl.Expr:
    """A conversation of one message."""
    return pl.concat_list(pl.struct(role=pl.lit(role), content=pl.col(column)))


def left_out(rows: pl.DataFrame) -> str:
    """How many responses are not in the data set, and why."""
    cut = pl.when(pl.col("finish_reason") == "length").then(pl.lit("cut at the longest length"))
    counts = rows.select(why=pl.coalesce("reason", cut)).drop_nulls()["why"].value_counts(sort=True).rows()
    return f"Left out: {', '.join(f'{n} {why}' for why, n in counts)}." if counts else "No response is left out."


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study in the config")
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--model", required=True, help="the base's folder or name on the hub")
    parser.add_argument("--revision", nargs="?", help="its commit, where the config pins one")
    parser.add_argument("--chat-template", type=Path, required=True, help="the base's chat template")
    parser.add_argument("--sources", type=json.loads, required=True, help="teacher to where it is from, as JSON")
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the ranking of each base")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per compared teacher")
    parser.add_argument("--train", type=Path, required=True, help="parquet of the data set")
    parser.add_argument("--template-copy", type=Path, required=True, help="chat template beside it")
    parser.add_argument("--card", type=Path, required=True, help="README.md beside it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
