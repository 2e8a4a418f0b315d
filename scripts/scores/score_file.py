"""The files of the pairs' scores, and the arguments of the scripts that write them: the same for all protocols."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from scripts.configuration.entries import default_of
from scripts.jobs.aligned import aligned
from scripts.tables.identity import identity_of
from scripts.tables.text_files import write_json


def score_parser(description: str) -> argparse.ArgumentParser:
    """A parser of the arguments that every protocol's score has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument("--pairs", nargs="+", required=True, help="base/teacher, by their names in the config")
    parser.add_argument("--baseline", help="name of the baseline: the teacher or table whose answers it is, if any")
    parser.add_argument("--judge", required=True, help="exact, or the judge's name in the config")
    parser.add_argument("--judgments", type=Path, nargs="+", required=True, help="parquet, one per pair")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="JSON of the score, one per pair")
    return parser


def pairwise_parser(description: str) -> argparse.ArgumentParser:
    """A parser of the arguments that scores from the judgments of a language model have."""
    parser = score_parser(description)
    share = default_of("benchmark", "max_unparsed")
    parser.add_argument("--max-unparsed", type=float, default=share, help="largest share of unreadable judgments")
    return parser


def one_by_one(args: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """The arguments of one pair after the other: with its base, teacher, judgments and output."""
    for pair, judgments, output in aligned(args, "pairs", "judgments", "outputs"):
        base, _, teacher = pair.partition("/")
        own = {"base": base, "teacher": teacher, "judgments": judgments, "output": output}
        yield argparse.Namespace(**{**vars(args), **own})


def write_score(args: argparse.Namespace, fields: dict, reason: str | None) -> None:
    """Write and print the score of a pair: its names, the fields of its protocol, and the reason if it has no score."""
    score = {name: getattr(args, name) for name in ("benchmark", "base", "teacher", "baseline", "judge")} | fields
    score["computed_from"] = identity_of(args.judgments) if args.judgments else {}
    if reason:
        score["reason"] = reason
    write_json(score, args.output)
    print(json.dumps(score))


def judging_cost(judgments: pl.DataFrame) -> dict:
    """How many answers were cut, the judge's tokens and their price in dollars; None if the judge has no price."""
    return {
        "truncation_rate": judgments["answer_cut"].mean(),
        "n_tokens": judgments["n_tokens"].sum(),
        "n_prompt_tokens": judgments["n_prompt_tokens"].sum(),
        "usd": judgments["usd"].sum() if judgments["usd"].count() else None,
    }
