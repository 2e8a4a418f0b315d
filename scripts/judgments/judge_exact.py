r"""Protocol `exact`: compare the models' answers and the baseline's with the reference answers.

python -m scripts.judgments.judge_exact --spec '{"answer_pattern": "(\\S+?)\\.?\\s*$", ...}' \
    --prompts results/miniature/prompts/held_out.parquet --baseline results/miniature/baselines/held_out.parquet \
    --answers results/miniature/answers/held_out/alpha/terse-{large,small}.parquet \
    --outputs results/miniature/judgments/held_out/alpha/terse-{large,small}.parquet

For tasks with one right answer (arithmetic, extraction). The extracted answer is the first group that matched in the
last match of `answer_pattern` in the text; `reference_pattern`, if set, extracts the reference in the same manner. An
answer is right if it equals the reference as a text, without what does not change it (right_answers.py). With
`ignore_case` upper and lower case are equal; with `numeric` the values of numbers are compared (2,125 equals 2125.00).
A `recipe` replaces all of these. preference: 1 if only the model is right, 0 if only the baseline is right, 0.5 if both
are right or both are wrong.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.jobs.aligned import aligned
from scripts.judgments.number_texts import number
from scripts.judgments.reasons import NEVER_ASKED, NOT_IN_TABLE
from scripts.judgments.right_answers import RECIPES, Recipe, extract, is_right
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table


def main():
    args = parse_args()
    prompts, baseline = read_table(args.prompts), read_table(args.baseline)
    if prompts["reference"].null_count():
        missing = prompts["reference"].null_count()
        raise SystemExit(f"{args.prompts}: prompts without a reference answer: {missing} of {prompts.height}")
    recipe = recipe_of(args.spec)
    compared = prompts.select("id", "reference").join(
        baseline.select("id", baseline_answer="answer", baseline_reason="reason"),
        on="id",
        how="left",
        validate="1:1",
        maintain_order="left",
    )
    compared = extract_references(compared, recipe, required=not args.spec["recipe"])
    if recipe.numeric and (texts := [text for text in compared["reference"] if number(text) is None]):
        raise SystemExit(
            f"{args.prompts}: references that are not numbers: {len(texts)}, for example {texts[0]!r}: "
            "set `reference_pattern`, or `numeric: false`"
        )
    identity = {"prompts": sha256(args.prompts), "baseline": sha256(args.baseline)}
    for answers, output in aligned(args, "answers", "outputs"):
        joined = compared.join(read_table(answers), on="id", how="left", validate="1:1", maintain_order="left")
        judgments = judge(joined, recipe)
        check_rows(judgments, prompts["id"].to_list(), value="preference")
        write_table(judgments, output, identity)
        right = judgments["correct"].sum(), judgments["baseline_correct"].sum()
        print(f"{output}: right answers of {judgments.height}: model {right[0]}, baseline {right[1]}")


def recipe_of(spec: dict) -> Recipe:
    """The recipe that the config names, or the one that its patterns make."""
    if spec["recipe"]:
        return RECIPES[spec["recipe"]]
    references = (spec["reference_pattern"],) if spec["reference_pattern"] else ()
    return Recipe((spec["answer_pattern"],), references, spec["ignore_case"], spec["numeric"])


def extract_references(joined: pl.DataFrame, recipe: Recipe, required: bool) -> pl.DataFrame:
    """The rows with the answer extracted from each reference. Exits if one is `required` and a reference has none."""
    if not recipe.references:
        return joined
    references = [extract(reference, recipe.references) for reference in joined["reference"]]
    if required and None in references:
        raise SystemExit(
            f"references that do not match reference_pattern {recipe.references[0]!r}: "
            f"{references.count(None)} of {len(references)}"
        )
    return joined.with_columns(pl.Series("reference", references, pl.String).fill_null(joined["reference"]))


def judge(joined: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """One judgment per prompt. An empty answer is wrong; one that was never asked for (NEVER_ASKED) is not judged.

    If a table of baseline answers lacks one, the model's answer is right or wrong but not compared.
    """
    rows = []
    for row in joined.iter_rows(named=True):
        extracted, baseline_extracted = (extract(row[name], recipe.answers) for name in ("answer", "baseline_answer"))
        correct, baseline_correct = (
            is_right(text, row["reference"], recipe.ignore_case, recipe.numeric)
            for text in (extracted, baseline_extracted)
        )
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


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--spec",
        type=json.loads,
        required=True,
        help="recipe, answer_pattern, reference_pattern, ignore_case and numeric as JSON",
    )
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id, instruction and reference")
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    parser.add_argument("--answers", type=Path, nargs="+", required=True, help="parquet of answers, one per pair")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of judgments, one per pair")
    return parser.parse_args()


if __name__ == "__main__":
    main()
