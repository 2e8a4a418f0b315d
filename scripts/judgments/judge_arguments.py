"""The arguments of the scripts whose judge is a model: the same for all protocols."""

import argparse
from collections.abc import Callable
from pathlib import Path

from scripts.configuration.entries import ENGINE_KEYS, api_settings, entry_of


def judge_parser(description: str, judge: Callable[[str], dict]) -> argparse.ArgumentParser:
    """A parser of the arguments that every judge has; judge: the type of its entry, see entry_of."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=judge, required=True, help="entry of the judge's model as JSON")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id, instruction and reference")
    parser.add_argument("--pairs", nargs="+", required=True, help="base/teacher, by their names in the config")
    parser.add_argument("--answers", type=Path, nargs="+", required=True, help="parquet of answers, one per pair")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row stores of the pairs")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of judgments, one per pair")
    return parser


def language_judge_parser(description: str) -> argparse.ArgumentParser:
    """A parser of the arguments that a judge has which is a language model."""
    parser = judge_parser(description, entry_of("language_judge", *ENGINE_KEYS))
    sampling = entry_of("judge_sampling")
    parser.add_argument("--sampling", type=sampling, default="{}", help="settings that differ from GREEDY, as JSON")
    parser.add_argument("--template", type=Path, required=True, help="the judge's messages, see config/judges/")
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON, for the engine openai")
    return parser
