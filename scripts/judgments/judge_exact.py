"""Protocol `exact`: hold a model's answers and the baseline's against the reference answers.

python -m scripts.judgments.judge_exact --spec '{"answer_pattern": "(\\S+?)\\.?\\s*$", ...}' \
    --prompts results/miniature/prompts/held_out.parquet --baseline results/miniature/baselines/held_out.parquet \
    --answers results/miniature/answers/held_out/alpha/terse-large.parquet \
    --output results/miniature/judgments/held_out/alpha/terse-large.parquet

For tasks with one right answer (arithmetic, extraction). The answer is the first group of the last match of
`answer_pattern`, the reference that of `reference_pattern` where there is one. An answer is right when it equals the
reference but for outer white space and, where `ignore_case` is set, for case; with `numeric`, when both are the same
number, however it is written (2,125 and 2125.00). preference: 1 the model is right and the baseline wrong, 0 the other
way round, 0.5 both or neither.
"""

import argparse
import json
import re
from decimal import Decimal
from pathlib import Path

import polars as pl

from scripts.judgments.reasons import NEVER_ASKED, NOT_IN_TABLE
from scripts.tables.files import check_rows, read_table, write_table


def main():
    args = parse_args()
    prompts = read_table(args.prompts)
    if prompts["reference"].null_count():
        raise SystemExit(f"{args.prompts}: {prompts['reference'].null_count()} prompts have no reference answer")
    answers = read_table(args.answers)
    baseline = read_table(args.baseline).select(
        "id", pl.col("answer").alias("baseline_answer"), pl.col("reason").alias("baseline_reason")
    )
    joined = (
        prompts.select("id", "reference")
        .join(answers, on="id", how="left", validate="1:1", maintain_order="left")
        .join(baseline, on="id", how="left", validate="1:1", maintain_order="left")
    )
    if args.spec["reference_pattern"]:
        joined = extract_references(joined, re.compile(args.spec["reference_pattern"]))
    if args.spec["numeric"] and (texts := [text for text in joined["reference"] if number(text) is None]):
        raise SystemExit(f"{len(texts)} references are no numbers, such as {texts[0]!r}: see `numeric`")
    judgments = judge(joined, re.compile(args.spec["answer_pattern"]), args.spec["ignore_case"], args.spec["numeric"])
    check_rows(judgments, prompts["id"].to_list(), value="preference")
    write_table(judgments, args.output)
    right = judgments["correct"].sum()
    print(f"{right} of {judgments.height} right; the baseline {judgments['baseline_correct'].sum()}")


def extract_references(joined: pl.DataFrame, pattern: re.Pattern) -> pl.DataFrame:
    """The rows with the answer that stands in each reference; exits where one has none."""
    answers = [extract(reference, pattern) for reference in joined["reference"]]
    if None in answers:
        raise SystemExit(f"{answers.count(None)} references do not match reference_pattern {pattern.pattern!r}")
    return joined.with_columns(pl.Series("reference", answers))


def judge(joined: pl.DataFrame, pattern: re.Pattern, ignore_case: bool, numeric: bool = False) -> pl.DataFrame:
    """One judgment per prompt. An empty answer is wrong; one never asked for (NEVER_ASKED) is not judged.

    Where a table of baseline answers has none, the answer is right or wrong, but not compared.
    """
    rows = []
    for row in joined.iter_rows(named=True):
        said, baseline_said = extract(row["answer"], pattern), extract(row["baseline_answer"], pattern)
        correct = same(said, row["reference"], ignore_case, numeric)
        baseline_correct = same(baseline_said, row["reference"], ignore_case, numeric)
        unasked = [r for r in (row["reason"], row["baseline_reason"]) if r in NEVER_ASKED]
        missing = row["baseline_reason"] in NOT_IN_TABLE
        rows.append(
            {
                **{name: row[name] for name in ("id", "benchmark", "base", "teacher", "reference")},
                "extracted": said,
                "baseline_extracted": baseline_said,
                "correct": None if unasked else correct,
                "baseline_correct": None if unasked or missing else baseline_correct,
                "preference": None if unasked or missing else (1 + correct - baseline_correct) / 2,
                "reason": next(iter([*unasked, *(["no_baseline_answer"] if missing else [])]), None),
            }
        )
    return pl.DataFrame(
        rows, infer_schema_length=None, schema_overrides={"preference": pl.Float64, "reason": pl.String}
    )


def extract(answer: str | None, pattern: re.Pattern) -> str | None:
    """First group of the last match, or None."""
    matches = list(pattern.finditer(answer or ""))
    return matches[-1].group(1).strip() if matches else None


def same(said: str | None, reference: str, ignore_case: bool, numeric: bool) -> bool:
    if said is None:
        return False
    if numeric:
        return number(said) == number(reference)
    reference = reference.strip()
    return said.casefold() == reference.casefold() if ignore_case else said == reference


def number(text: str) -> Decimal | None:
    """The number that a text is, commas between digits left out; None where it is none."""
    text = text.strip().replace(",", "").removesuffix(".")
    return Decimal(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text) else None


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=json.loads, required=True, help="answer_pattern, ignore_case, ... as JSON")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id, instruction and reference")
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    parser.add_argument("--answers", type=Path, required=True, help="parquet of the model's answers")
    parser.add_argument("--output", type=Path, required=True, help="parquet of judgments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
