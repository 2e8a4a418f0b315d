r"""Protocol `exact`: compare a model's answers and the baseline's with the reference answers.

python -m scripts.judgments.judge_exact --spec '{"answer_pattern": "(\\S+?)\\.?\\s*$", ...}' \
    --prompts results/miniature/prompts/held_out.parquet --baseline results/miniature/baselines/held_out.parquet \
    --answers results/miniature/answers/held_out/alpha/terse-large.parquet \
    --output results/miniature/judgments/held_out/alpha/terse-large.parquet

For tasks with one right answer (arithmetic, extraction). The extracted answer is the first group of the last match of
`answer_pattern` in the text; `reference_pattern`, if set, extracts the reference in the same manner. An answer is right
if it equals the reference, without outer white space. With `ignore_case` upper and lower case are equal; with `numeric`
the values of numbers are compared (2,125 equals 2125.00). preference: 1 if only the model is right, 0 if only the
baseline is right, 0.5 if both are right or both are wrong.
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
        missing = prompts["reference"].null_count()
        raise SystemExit(f"{args.prompts}: prompts without a reference answer: {missing} of {prompts.height}")
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
        raise SystemExit(
            f"{args.prompts}: references that are not numbers: {len(texts)}, for example {texts[0]!r}: "
            "set `reference_pattern`, or `numeric: false`"
        )
    judgments = judge(joined, re.compile(args.spec["answer_pattern"]), args.spec["ignore_case"], args.spec["numeric"])
    check_rows(judgments, prompts["id"].to_list(), value="preference")
    write_table(judgments, args.output)
    right = judgments["correct"].sum()
    print(f"right answers of {judgments.height}: model {right}, baseline {judgments['baseline_correct'].sum()}")


def extract_references(joined: pl.DataFrame, pattern: re.Pattern) -> pl.DataFrame:
    """The rows with the answer extracted from each reference. Exits if a reference does not match."""
    references = [extract(reference, pattern) for reference in joined["reference"]]
    if None in references:
        raise SystemExit(
            f"references that do not match reference_pattern {pattern.pattern!r}: "
            f"{references.count(None)} of {len(references)}"
        )
    return joined.with_columns(pl.Series("reference", references))


def judge(joined: pl.DataFrame, pattern: re.Pattern, ignore_case: bool, numeric: bool = False) -> pl.DataFrame:
    """One judgment per prompt. An empty answer is wrong; one that was never asked for (NEVER_ASKED) is not judged.

    If a table of baseline answers lacks one, the model's answer is right or wrong but not compared.
    """
    rows = []
    for row in joined.iter_rows(named=True):
        extracted, baseline_extracted = extract(row["answer"], pattern), extract(row["baseline_answer"], pattern)
        correct = is_right(extracted, row["reference"], ignore_case, numeric)
        baseline_correct = is_right(baseline_extracted, row["reference"], ignore_case, numeric)
        unasked = [r for r in (row["reason"], row["baseline_reason"]) if r in NEVER_ASKED]
        missing = row["baseline_reason"] in NOT_IN_TABLE
        rows.append(
            {
                **{name: row[name] for name in ("id", "benchmark", "base", "teacher", "reference")},
                "extracted": extracted,
                "baseline_extracted": baseline_extracted,
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
    """The first group of the last match, without outer white space; None without a match."""
    matches = list(pattern.finditer(answer or ""))
    return matches[-1].group(1).strip() if matches else None


def is_right(extracted: str | None, reference: str, ignore_case: bool, numeric: bool) -> bool:
    if extracted is None:
        return False
    if numeric:
        return number(extracted) == number(reference)
    reference = reference.strip()
    return extracted.casefold() == reference.casefold() if ignore_case else extracted == reference


def number(text: str) -> Decimal | None:
    """The value of a text that is a number, without its commas and a final period; None for another text."""
    text = text.strip().replace(",", "").removesuffix(".")
    return Decimal(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text) else None


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--spec",
        type=json.loads,
        required=True,
        help="answer_pattern, reference_pattern, ignore_case and numeric as JSON",
    )
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id, instruction and reference")
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    parser.add_argument("--answers", type=Path, required=True, help="parquet of the model's answers")
    parser.add_argument("--output", type=Path, required=True, help="parquet of judgments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
