r"""Protocol `reward`: a reward model scores a model's answers and the baseline's, and the higher reward wins.

python -m scripts.judgments.judge_reward --judge '{"model": "results/world/second-opinion"}' \
    --prompts results/mine/prompts/quiz.parquet --baseline results/mine/baselines/quiz.parquet \
    --pairs base/teacher-a base/teacher-b --answers results/mine/answers/quiz/base/teacher-{a,b}.parquet \
    --store results/mine/rows/judgments/quiz --outputs results/mine/judgments/quiz/base/teacher-{a,b}.parquet

For users without a language model as judge. An empty answer loses; an answer that was never asked for (NEVER_ASKED) is
not judged.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl

from scripts.configuration.entries import REWARD_MODEL_KEYS, entry_of
from scripts.jobs.aligned import aligned
from scripts.jobs.code import declared
from scripts.judgments.judge_arguments import judge_parser
from scripts.judgments.reasons import NEVER_ASKED
from scripts.models.folder import key_of
from scripts.tables.conversations import PROMPT, filled
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table
from scripts.tables.row_store import RowStore

VERSION = 1  # of the table; the rows have that of the module that computes them
ROWS = "scripts.models.reward_scorer"


def main():
    args = parse_args()
    key, load = key_of(args.judge), cache(lambda: scorer_of(args.judge))
    prompts, baseline = read_table(args.prompts).select("id", *PROMPT), read_table(args.baseline)
    for pair, answers, output in aligned(args, "pairs", "answers", "outputs"):
        store = RowStore(args.store / pair, key, declared(ROWS, "VERSION"))
        texts = read_table(answers)
        rewards = [
            scored(prompts, texts, "model", store, load),
            scored(prompts, baseline, "baseline", store, load),
        ]
        judgments = compare(prompts, texts, *rewards)
        check_rows(judgments, prompts["id"].to_list(), value="preference")
        identity = {"judge": store.key, "prompts": sha256(args.prompts), "baseline": sha256(args.baseline)}
        write_table(judgments, output, identity)
        print(f"{pair}: judged: {judgments['preference'].count()} of {judgments.height} prompts")


def scorer_of(model: dict) -> Callable:
    from scripts.models.reward_scorer import load_scorer  # it loads torch, which stored rows do not need

    return load_scorer(model)


def scored(prompts: pl.DataFrame, texts: pl.DataFrame, author: str, store: RowStore, load: Callable) -> pl.DataFrame:
    """id, the reward of each answer in a column named by its author, and the reason why one has none."""
    rows = prompts.join(texts, on="id", validate="1:1", maintain_order="left").filter(pl.col("answer").is_not_null())
    rows = rows.select("id", *PROMPT, response="answer")
    results = store.fill(filled(rows.to_dicts()), load, declared(ROWS, "BLOCK"))
    rewards = pl.DataFrame(results, schema={"reward": pl.Float64, "unusable": pl.String})
    return rows.select("id").hstack(rewards.rename({"reward": author, "unusable": f"{author}_unusable"}))


def compare(prompts: pl.DataFrame, answers: pl.DataFrame, model: pl.DataFrame, baseline: pl.DataFrame) -> pl.DataFrame:
    """One judgment per prompt: both rewards and the preference (1 model, 0 baseline, 0.5 equal rewards)."""
    joined = prompts.select("id")
    for frame in (answers.rename({"reason": "answer_reason"}), model, baseline):
        joined = joined.join(frame, on="id", how="left", validate="1:1", maintain_order="left")
    difference = pl.col("model") - pl.col("baseline")
    never = pl.col("answer_reason").is_in(NEVER_ASKED)
    empty = pl.col("answer").is_null() & ~never
    preference = pl.when(empty & pl.col("baseline").is_not_null()).then(0.0).otherwise((difference.sign() + 1) / 2)
    unasked = pl.when(never).then("answer_reason")
    no_baseline = pl.when(pl.col("baseline").is_null()).then(pl.lit("no_baseline_reward"))
    reason = pl.coalesce(unasked, "model_unusable", "baseline_unusable", no_baseline)
    return joined.select(
        "id",
        "benchmark",
        "base",
        "teacher",
        pl.col("model").alias("reward"),
        pl.col("baseline").alias("baseline_reward"),
        pl.when(reason.is_null()).then(preference).alias("preference"),
        reason.alias("reason"),
    )


def parse_args():
    parser = judge_parser(__doc__, entry_of("reward_model", *REWARD_MODEL_KEYS))
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
