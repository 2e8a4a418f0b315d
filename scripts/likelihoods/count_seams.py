r"""Count, for every base and teacher, the answers whose ids differ at the seam of prompt and answer.

python -m scripts.likelihoods.count_seams \
    --bases '{"alpha": {"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}}' \
    --pairs alpha/terse-large alpha/terse-small --instructions results/miniature/instructions.parquet \
    --responses results/miniature/responses/terse-*.parquet --output results/miniature/tables/seams.csv

Scored and trained on are the ids of the prompt and then those of the answer. A tokenizer may join white space at the
start of an answer with the end of the prompt; the ids of the whole conversation are then others. No other answer can
differ (a template where one could is refused), so only these are encoded. No model is loaded.
"""

import argparse
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl

from scripts.configuration.entries import BASE_KEYS, entry_of
from scripts.tables.conversations import PROMPT, answer_of, prompt_of, tools_of
from scripts.tables.files import read_table, write_table

SCHEMA = {"base": pl.String, "teacher": pl.String}
SCHEMA |= dict.fromkeys(("n", "n_white_space", "n_differ"), pl.Int64)


def main():
    args = parse_args()
    own, responses = ({path.stem: path for path in paths} for paths in (args.instructions, args.responses))
    rows = []
    for base, entry in args.bases.items():
        load = cache(lambda entry=entry: chat_of(entry))
        for teacher in [pair.partition("/")[2] for pair in args.pairs if pair.startswith(f"{base}/")]:
            instructions = read_table(own[teacher] if len(own) > 1 else args.instructions[0]).select("id", *PROMPT)
            pairs = read_table(responses[teacher]).join(instructions, on="id", validate="1:1", maintain_order="left")
            rows.append({"base": base, "teacher": teacher, **count_seams(load, pairs)})
    write_table(pl.DataFrame(rows, schema=SCHEMA), args.output)


def chat_of(entry: dict):
    """The Chat of a base. Loading transformers takes seconds, and few teachers begin an answer with white space."""
    from scripts.models.loading import load_chat

    return load_chat(entry)


def count_seams(load: Callable, pairs: pl.DataFrame) -> dict[str, int]:
    """n usable responses; those in which a message of the assistant begins with white space; those with other ids.

    load: returns the Chat of the base.
    """
    usable = pairs.filter(pl.col("reason").is_null())
    maybe = usable.filter(pl.col("response").str.contains(r"^\s") | pl.col("turns").is_not_null())
    spaced = [row for row in maybe.iter_rows(named=True) if begins_with_white_space(row)]
    differ = sum(differs_at_seam(load(), row) for row in spaced)
    return {"n": usable.height, "n_white_space": len(spaced), "n_differ": differ}


def begins_with_white_space(row: dict) -> bool:
    answer = answer_of(row)
    texts = [answer] if isinstance(answer, str) else [m["content"] for m in answer if m["role"] == "assistant"]
    return any(text[:1].isspace() for text in texts)


def differs_at_seam(chat, row: dict) -> bool:
    """Whether the ids of all turns are not those of the rendered conversation; False for a row that has no ids."""
    from scripts.models.template import Unrenderable

    try:
        turns = chat.turns({**row, "finish_reason": "stop"})
        whole = chat.conversation(prompt_of(row), answer_of(row), tools_of(row))
    except Unrenderable:
        return False
    return [token for turn in turns for part in turn for token in part] + chat.tail != whole


def bases_of(text: str) -> dict[str, dict]:
    """Base to its entry, each filled with the defaults of a base."""
    return {name: entry_of("base", *BASE_KEYS)(json.dumps(entry)) for name, entry in json.loads(text).items()}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=bases_of, required=True, help="base to its entry, as JSON")
    parser.add_argument("--pairs", nargs="+", required=True, help="base/teacher")
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per base and teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
