"""The comparisons of a model's answers with the baseline's, and the judge's output on each."""

import polars as pl

from scripts.judgments.judge_outputs import (
    read_last_label,
    read_names,
    read_strict_verdict,
    read_verdict,
    read_winner,
)
from scripts.judgments.judge_requests import OUTPUT_COLUMNS, Judging
from scripts.judgments.pairwise_verdicts import switched
from scripts.judgments.reasons import NEVER_ASKED

LABELS = "Please finish now with one of the labels [[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]]."
PAIRWISE = {
    "alpaca_eval": Judging(1, {"max_new_tokens": 1, "first_tokens": 5}, "logprobs", read_names),
    "arena_hard": Judging(2, {}, "text", read_verdict, finish=LABELS),
    "arena_hard_v2": Judging(2, {}, "text", read_verdict, finish=LABELS),
    "label": Judging(2, {}, "text", read_winner, finish="Please finish now with one word: A or B."),
}
# with strict_verdicts: as arena-hard-auto does; its second version never asks a judge to finish
STRICT = {
    "arena_hard": PAIRWISE["arena_hard"]._replace(read=read_strict_verdict),
    "arena_hard_v2": PAIRWISE["arena_hard_v2"]._replace(read=read_last_label, finish=None),
}


def list_comparisons(
    protocol: str, prompts: pl.DataFrame, answers: pl.DataFrame, baseline: pl.DataFrame
) -> pl.DataFrame:
    """A row per comparison, in the order of the prompts, with both answers and these columns:

    game: 1, and 2 if each pair is compared twice. switched: the model's answer is shown first. decided: the result
    without the judge, `empty` (the model loses) or `identical` (a tie). reason: why the answers are not compared. The
    judge is asked if both are null.
    """
    pairs = pair_answers(prompts, answers, baseline)
    games = two_games(pairs) if PAIRWISE[protocol].games == 2 else one_game(pairs)
    reason = pl.coalesce(
        pl.when(pl.col("answer_reason").is_in(NEVER_ASKED)).then("answer_reason"),
        pl.when(pl.col("baseline_answer").is_null()).then(pl.lit("no_baseline_answer")),
    )
    decided = (
        pl.when(reason.is_not_null())
        .then(None)
        .when(pl.col("answer").is_null())
        .then(pl.lit("empty"))
        .when(pl.col("answer") == pl.col("baseline_answer"))
        .then(pl.lit("identical"))
    )
    return games.with_columns(decided=decided, reason=reason)


def pair_answers(prompts: pl.DataFrame, answers: pl.DataFrame, baseline: pl.DataFrame) -> pl.DataFrame:
    """A row per prompt, in their order: both answers, and the reason of each that is missing."""
    answers = answers.drop("n_tokens").rename({"reason": "answer_reason"})
    baseline = baseline.select("id", baseline_answer="answer")
    pairs = prompts.select("id", "instruction", "raw_instruction")
    for table in (answers, baseline):
        pairs = pairs.join(table, on="id", how="left", validate="1:1", maintain_order="left")
    return pairs


def one_game(pairs: pl.DataFrame) -> pl.DataFrame:
    """Each pair once; the order of the answers is drawn from the raw instruction, as on the leaderboard."""
    order = [switched(instruction) for instruction in pairs["raw_instruction"]]
    return pairs.with_columns(pl.lit(1).alias("game"), pl.Series("switched", order, pl.Boolean))


def two_games(pairs: pl.DataFrame) -> pl.DataFrame:
    """Each pair twice: the baseline's answer first, then the model's."""
    games = pl.DataFrame({"game": [1, 2], "switched": [False, True]}, schema_overrides={"game": pl.Int32})
    return pairs.join(games, how="cross")


def undecided(comparisons: pl.DataFrame) -> pl.DataFrame:
    """The comparisons that the judge is asked about."""
    return comparisons.filter(pl.col("decided").is_null() & pl.col("reason").is_null())


def join_outputs(comparisons: pl.DataFrame, outputs: list[dict], protocol: str) -> pl.DataFrame:
    """Every comparison with the judge's output; `outputs` are those of the undecided comparisons, in their order.

    `judged` is null if nothing can be read; `reason` then says why.
    """
    thinking = {"reasoning": pl.String} if any(output.get("reasoning") for output in outputs) else {}
    columns = OUTPUT_COLUMNS | thinking
    frame = pl.DataFrame([{name: o.get(name) for name in columns} for o in outputs], schema=columns)
    asked = undecided(comparisons).select("id", "game").hstack(frame.rename({"reason": "output_reason"}))
    judged = pl.coalesce("decided", PAIRWISE[protocol].read_from)
    joined = comparisons.join(asked, on=["id", "game"], how="left", validate="1:1", maintain_order="left")
    return joined.select(
        "id",
        "benchmark",
        "base",
        "teacher",
        "game",
        "switched",
        "decided",
        *(name for name in columns if name != "reason"),
        pl.col("answer").str.len_chars().fill_null(0).alias("len_model"),
        pl.col("baseline_answer").str.len_chars().alias("len_baseline"),
        (pl.col("finish_reason") == "length").fill_null(False).alias("answer_cut"),
        judged.alias("judged"),
        pl.coalesce("reason", pl.when(judged.is_null()).then("output_reason")).alias("reason"),
    )
