r"""Write the responses of the first teacher by CAR as a data set for fine-tuning a base model, with a card.

python -m scripts.datasets.write_dataset --study miniature --compare paired --base alpha \
    --model '{"model": "./results/world/alpha", "chat_template": "config/templates/plain.jinja"}' --max-length 4096 \
    --sources '{"terse-large": {"model": "./results/world/terse-large"}, ...}' \
    --teachers results/miniature/tables/teachers.csv --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/*.parquet --tokens results/miniature/datasets/alpha/tokens.parquet \
    --train results/miniature/datasets/alpha/train.parquet \
    --template-copy results/miniature/datasets/alpha/chat_template.jinja \
    --card results/miniature/datasets/alpha/README.md

tokens.parquet has the ids and labels that finetune.py trains the base on; TRL, axolotl and LLaMA-Factory take them as
they are. train.parquet has the complete responses in TRL's conversational prompt-completion format, and as `messages`
for other trainers, for other models.
With the base's chat template it gives the same ids and labels, except for the rows that the card counts. Responses that
are in neither are counted there, too. The card is written last.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.configuration.entries import BASE_KEYS, entry_of
from scripts.datasets.complete_conversations import NAMES, complete_conversations
from scripts.datasets.dataset_card import CARD, as_rendered, counted
from scripts.finetuning.sft_examples import encode_examples, read_pairs
from scripts.metrics.car import INSTRUCTIONS_DIFFER
from scripts.models.loading import context_length, load_chat, load_config, pretrained
from scripts.tables.files import read_csv, read_table, write_table
from scripts.tables.text_files import write_text

IDS = {"input_ids": pl.List(pl.Int32), "attention_mask": pl.List(pl.Int8), "labels": pl.List(pl.Int32)}


def main():
    args = parse_args()
    base, template = args.model, Path(args.model["chat_template"])
    ranked = read_csv(args.teachers).filter(pl.col("rank").is_not_null(), base=args.base)
    first = ranked.sort("rank", "teacher").row(0, named=True)
    pairs = read_pairs(instructions_of(first["teacher"], args), responses_of(first["teacher"], args.responses))
    chat = load_chat(base)
    max_length = min(args.max_length, context_length(load_config(**pretrained(base))))
    examples, counts = encode_examples(chat, pairs, max_length)
    write_table(as_table(examples), args.tokens)
    conversations = complete_conversations(pairs, chat)
    train = conversations.filter(pl.col("left_out").is_null())
    write_table(train.select("id", *NAMES, "^tools$", *settings_of(base)), args.train)
    write_text(template.read_text(encoding="utf-8-sig"), args.template_copy)
    card = CARD.format(
        base=args.base,
        study=args.study,
        model=base["model"],
        options={key: base[key] for key in ("revision", "trust_remote_code") if base[key]},
        pinned=f"commit {base['revision']}" if base["revision"] else "no commit pinned",
        teacher=first["teacher"],
        car=first["car"],
        note=f"Note: {first['note']}. " if first["note"] else "",
        n_examples=counts["n_examples"],
        n_conversations=train.height,
        n_truncated=counts["n_truncated"],
        compared=compared(ranked, args.compare),
        end=chat.tokenizer.convert_ids_to_tokens(chat.end[-1]),
        max_length=max_length,
        not_trained=not_trained(counts),
        left_out=counted("Left out", kinds(conversations, "left_out"), "No response was left out."),
        rendered=as_rendered(train["difference"].null_count(), train.height, kinds(train, "difference")),
        folder=str(args.card.parent),
        source=json.dumps(args.sources[first["teacher"]], indent=2),
    )
    write_text(card, args.card)
    print(f"{args.base}: responses of {first['teacher']}: {train.height}; to fine-tune the base on: {len(examples)}")


def settings_of(base: dict) -> list[pl.Expr]:
    """The column from which TRL takes the settings of the base's chat template, if it has some."""
    settings = base.get("chat_template_kwargs")
    if not settings:
        return []
    return [pl.struct(**{key: pl.lit(value) for key, value in settings.items()}).alias("chat_template_kwargs")]


def compared(ranked: pl.DataFrame, compare: str) -> str:
    """What the ranking is based on: the common instructions of all teachers, or each one's own."""
    if compare == "paired":
        return f"Teachers compared: {ranked.height}; instructions that all of them answered: {ranked['n'][0]}."
    own = ", ".join(f"{name} {n}" for name, n in ranked.select("teacher", "n").iter_rows())
    return f"Teachers compared, with the number of their own instructions: {own}. {INSTRUCTIONS_DIFFER}"


def instructions_of(teacher: str, args: argparse.Namespace) -> Path:
    """The table with the instructions of this teacher."""
    if args.compare == "paired":
        return args.instructions[0]
    return next(path for path in args.instructions if path.stem == teacher)


def responses_of(teacher: str, paths: list[Path]) -> Path:
    """The table of this teacher's responses; `paths` has one per teacher."""
    return next(path for path in paths if read_table(path, columns=["teacher"])[0].item() == teacher)


def as_table(examples: list[dict]) -> pl.DataFrame:
    """A row for each example, with an attention mask of ones, which axolotl and LLaMA-Factory read."""
    rows = [example | {"attention_mask": [1] * len(example["input_ids"])} for example in examples]
    return pl.DataFrame(rows, schema=IDS)


def not_trained(counts: dict[str, int]) -> str:
    """A sentence with the number of responses that finetune.py does not train on, for each reason."""
    reasons = {
        "cannot be used": counts["n_set_aside"],
        "have a prompt that fills this length alone": counts["n_dropped_prompt_fills_max_length"],
        "are refused by the chat template": counts["n_unrenderable"],
    }
    return counted("Left out", reasons, "No response was left out.")


def kinds(rows: pl.DataFrame, column: str) -> dict[str, int]:
    """Value to number of rows, the most frequent first."""
    return dict(rows[column].drop_nulls().value_counts(sort=True).rows())


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study in the config")
    parser.add_argument("--compare", choices=["paired", "unpaired"], default="paired", help="`compare` of the config")
    parser.add_argument("--base", required=True, help="name of the base model in the config")
    parser.add_argument("--model", type=entry_of("base", *BASE_KEYS), required=True, help="its entry as JSON")
    parser.add_argument("--max-length", type=int, required=True, help="tokens of a row, as in fine-tuning")
    parser.add_argument(
        "--sources", type=json.loads, required=True, help="teacher to its source (model, import, ...), as JSON"
    )
    parser.add_argument("--teachers", type=Path, required=True, help="CSV with the ranking of each base")
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per compared teacher")
    parser.add_argument("--tokens", type=Path, required=True, help="parquet of ids and labels")
    parser.add_argument("--train", type=Path, required=True, help="parquet of conversations, in the same folder")
    parser.add_argument(
        "--template-copy", type=Path, required=True, help="copy of the chat template, in the same folder"
    )
    parser.add_argument("--card", type=Path, required=True, help="card (README.md), in the same folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
