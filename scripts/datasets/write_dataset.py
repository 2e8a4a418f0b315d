r"""Write the responses of the first teacher by CAR as a data set for fine-tuning a base model, with a card.

python -m scripts.datasets.write_dataset --study miniature --base alpha --model ./results/world/alpha --revision \
    --chat-template config/templates/plain.jinja \
    --sources '{"terse-large": {"model": "./results/world/terse-large"}, ...}' \
    --teachers results/miniature/tables/teachers.csv --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/*.parquet --train results/miniature/datasets/alpha/train.parquet \
    --template-copy results/miniature/datasets/alpha/chat_template.jinja \
    --card results/miniature/datasets/alpha/README.md

The format is TRL's conversational prompt-completion format. Used as the card says, with the base's chat template, it
gives the same token ids and labels as finetune.py, except for control tokens in a text, which TRL does not neutralize.
Unusable responses are left out and counted in the card; so are responses cut at max_new_tokens, to which TRL would add
an end of turn. The card is written last.
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

# Training data for {base} from {teacher}

Responses of **{teacher}**, the first teacher by CAR ({car:.4g}) for the base model `{model}` ({pinned}) in the study
`{study}`. Teachers compared: {n_teachers}; instructions that all of them answered: {n_common}. CAR = r / (1 + beta L),
where r is the reward of the responses and L the loss of the base model on them. {note}Only fine-tuning shows whether
CAR finds the best teacher: see `tables/` of the study.

`train.parquet` has the columns `id`, `prompt` and `completion`, the format of TRL's SFTTrainer. Rows: {n}. {left_out}

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

This code uses TRL's default epochs, learning rate and batch size. Those of the study are in its `config.yaml`, under
`finetune`.

The responses were written by the teacher, so its license applies to their use. Their source:

```json
{source}
```
"""


def main():
    args = parse_args()
    ranked = read_csv(args.teachers).filter(pl.col("rank").is_not_null(), base=args.base)
    first = ranked.sort("rank", "teacher").row(0, named=True)
    instructions = read_table(args.instructions, columns=["id", "instruction"])
    responses = responses_of(first["teacher"], args.responses)
    rows = responses.join(instructions, on="id", validate="1:1", maintain_order="left")
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
    print(f"{args.base}: responses of {first['teacher']}: {usable.height}")


def responses_of(teacher: str, paths: list[Path]) -> pl.DataFrame:
    """id, response, finish_reason and reason of this teacher's rows; `paths` has one table per teacher."""
    path = next(path for path in paths if read_table(path, columns=["teacher"])[0].item() == teacher)
    return read_table(path, columns=["id", "response", "finish_reason", "reason"])


def turn(role: str, column: str) -> pl.Expr:
    """A conversation of one message."""
    return pl.concat_list(pl.struct(role=pl.lit(role), content=pl.col(column)))


def left_out(rows: pl.DataFrame) -> str:
    """A sentence with the number of responses that are not in the data set, per reason."""
    cut = pl.when(pl.col("finish_reason") == "length").then(pl.lit("cut at max_new_tokens"))
    counts = rows.select(why=pl.coalesce("reason", cut)).drop_nulls()["why"].value_counts(sort=True).rows()
    return f"Left out: {', '.join(f'{n} {why}' for why, n in counts)}." if counts else "No response was left out."


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study in the config")
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--model", required=True, help="folder of the base model, or its name on the Hugging Face hub")
    parser.add_argument("--revision", nargs="?", help="commit of the base model, if the config has one")
    parser.add_argument("--chat-template", type=Path, required=True, help="chat template of the base model")
    parser.add_argument(
        "--sources", type=json.loads, required=True, help="teacher to its source (model, import, ...), as JSON"
    )
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the ranking of each base")
    parser.add_argument("--instructions", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per compared teacher")
    parser.add_argument("--train", type=Path, required=True, help="parquet of the data set")
    parser.add_argument(
        "--template-copy", type=Path, required=True, help="copy of the chat template, in the same folder"
    )
    parser.add_argument("--card", type=Path, required=True, help="card (README.md), in the same folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
