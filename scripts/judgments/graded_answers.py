"""The answers that a judge grades one by one, and its output on each."""

import polars as pl

from scripts.judgments.judge_outputs import read_grade
from scripts.judgments.judge_requests import OUTPUT_COLUMNS, Judging
from scripts.judgments.reasons import NEVER_ASKED
from scripts.tables.conversations import as_text, tools_of
from scripts.tables.user_turns import asked_turns, references_of

FINISH = "Please finish now with one number from 1 to 10 in double brackets: [[number]]."
GRADING = {"grade": Judging(1, {}, "text", read_grade, finish=FINISH)}


def list_answers(prompts: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """A row per answer, in the order of the prompts and turns, with what the judge is shown and these columns:

    turn: from 1. instruction: the conversation before the answer, as text. reference: the right answers up to this
    turn, null without any. decided: `empty`, the lowest grade without the judge. reason: why the answer is not graded.
    The judge is asked if both are null.
    """
    if "turn" not in answers.columns:
        answers = answers.with_columns(turn=pl.lit(1, pl.Int32))
    by_turn = {(row["id"], row["turn"]): row["answer"] for row in answers.iter_rows(named=True)}
    shown = [
        {
            "id": prompt["id"],
            "turn": turn,
            "instruction": conversation(prompt, [by_turn.get((prompt["id"], k)) for k in range(1, turn)]),
            "reference": reference_text(references_of(prompt)[:turn]),
        }
        for prompt in prompts.iter_rows(named=True)
        for turn in range(1, (prompt.get("n_turns") or 1) + 1)
    ]
    schema = {"id": pl.String, "turn": pl.Int32, "instruction": pl.String, "reference": pl.String}
    answers = answers.drop("n_tokens").rename({"reason": "answer_reason"})
    rows = pl.DataFrame(shown, schema=schema)
    rows = rows.join(answers, on=["id", "turn"], how="left", validate="1:1", maintain_order="left")
    never_asked = pl.col("answer_reason").is_in(NEVER_ASKED)
    return rows.with_columns(
        decided=pl.when(~never_asked.fill_null(False) & pl.col("answer").is_null()).then(pl.lit("empty")),
        reason=pl.when(never_asked).then("answer_reason"),
    )


def conversation(prompt: dict, answers: list[str | None]) -> str:
    """What comes before the next answer, as text; answers: those to the first turns."""
    if "n_turns" not in prompt:
        return prompt["instruction"]
    return as_text(asked_turns(prompt, answers), tools_of(prompt))


def reference_text(references: list[str]) -> str | None:
    """The references of one turn or several as one text; those of several are numbered."""
    given = [(n, text) for n, text in enumerate(references, 1) if text]
    if len(references) == 1 or not given:
        return given[0][1] if given else None
    return "\n\n".join(f"turn {n}: {text}" for n, text in given)


def undecided(answers: pl.DataFrame) -> pl.DataFrame:
    """The answers that the judge is asked about."""
    return answers.filter(pl.col("decided").is_null() & pl.col("reason").is_null())


def join_outputs(answers: pl.DataFrame, outputs: list[dict]) -> pl.DataFrame:
    """Every answer with the judge's output; `outputs` are those of the undecided answers, in their order.

    `judged` is null if nothing can be read; `reason` then says why.
    """
    thinking = {"reasoning": pl.String} if any(output.get("reasoning") for output in outputs) else {}
    columns = OUTPUT_COLUMNS | thinking
    frame = pl.DataFrame([{name: o.get(name) for name in columns} for o in outputs], schema=columns)
    asked = undecided(answers).select("id", "turn").hstack(frame.rename({"reason": "output_reason"}))
    judged = pl.coalesce("decided", "text")
    joined = answers.join(asked, on=["id", "turn"], how="left", validate="1:1", maintain_order="left")
    return joined.select(
        *("id", "benchmark", "base", "teacher", "turn", "decided"),
        *(name for name in columns if name != "reason"),
        pl.col("answer").str.len_chars().fill_null(0).alias("len_model"),
        (pl.col("finish_reason") == "length").fill_null(False).alias("answer_cut"),
        judged.alias("judged"),
        pl.coalesce("reason", pl.when(judged.is_null()).then("output_reason")).alias("reason"),
    )
