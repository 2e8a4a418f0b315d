"""A language model compares each answer with the baseline's, by the protocol of AlpacaEval 2 or of Arena-Hard.

python -m scripts.judgments.judge_pairs \
    --protocol alpaca_eval --judge '{"engine": "openai", "model": "gpt-4-1106-preview"}' \
    --template config/judges/alpaca_eval.txt --api '{"budget_usd": 10}' \
    --prompts results/mine/prompts/alpaca_eval.parquet --baseline results/mine/baselines/alpaca_eval.parquet \
    --answers results/mine/answers/alpaca_eval/base/teacher-a.parquet --store results/mine/rows/judgments \
    --output results/mine/judgments/alpaca_eval/base/teacher-a.parquet

Kept is what the judge said; scores are made from it elsewhere. alpaca_eval: one comparison, in an order drawn for the
instruction, and one token with its log-probabilities. arena_hard: two games, the baseline first and the model first; a
judge that gives no verdict is asked once to finish with one. An empty answer loses, and two equal ones tie, without the
judge; without a baseline answer there is nothing to compare. A comparison that failed is not stored: the next run asks
for it again.
"""

import argparse
from pathlib import Path

import polars as pl

from scripts.configuration.entries import ENGINE_KEYS, api_settings, entry_of
from scripts.engines.generation import asker
from scripts.judgments.judge_templates import fill_template, read_template
from scripts.judgments.pairwise_verdicts import VERDICT, switched
from scripts.judgments.reasons import NEVER_ASKED
from scripts.tables.files import check_rows, read_table, write_table

GREEDY = {"temperature": 0, "top_p": 1, "seed": 0, "max_new_tokens": 4096, "batch_tokens": 32768, "options": {}}
FIXED = {"alpaca_eval": {"max_new_tokens": 1, "logprobs": 5}, "arena_hard": {}}
FINISH = "Please finish now with one of the labels [[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]]."
SAID = {
    "text": pl.String,
    "logprobs": pl.String,
    "n_tokens": pl.Int64,
    "n_prompt_tokens": pl.Int64,
    "usd": pl.Float64,
    "reason": pl.String,
}


def main():
    args = parse_args()
    template = read_template(args.template)
    spec = {**args.judge, "sampling": GREEDY | args.sampling | FIXED[args.protocol]}
    games = pair_up(args.protocol, *map(read_table, (args.prompts, args.answers, args.baseline)))
    rows = [ask_about(game, template) for game in games.filter(pl.col("decided").is_null()).iter_rows(named=True)]
    ask = asker(spec, args.store, args.api)
    said = ask(rows)
    if args.protocol == "arena_hard":
        said = finish(rows, said, ask)
    judgments = put_together(games, rows, said, args.protocol)
    check_rows(judgments, games["id"].to_list(), value="judged")
    write_table(judgments.drop("judged"), args.output)
    read, written, usd = judgments.select(pl.col("n_prompt_tokens", "n_tokens", "usd").sum()).row(0)
    print(
        f"{judgments.height} comparisons, {len(rows)} by the judge: {read} tokens read, {written} written, ${usd:.2f}"
    )


def pair_up(protocol: str, prompts: pl.DataFrame, answers: pl.DataFrame, baseline: pl.DataFrame) -> pl.DataFrame:
    """A row per comparison: id, game, switched (the model's answer stands first), both answers, decided, reason."""
    theirs = baseline.select("id", baseline_answer="answer", baseline_reason="reason")
    joined = (
        prompts.select("id", "instruction")
        .join(
            answers.drop("n_tokens").rename({"reason": "answer_reason"}),
            on="id",
            how="left",
            validate="1:1",
            maintain_order="left",
        )
        .join(theirs, on="id", how="left", validate="1:1", maintain_order="left")
    )
    order = [switched(instruction) for instruction in joined["instruction"]]
    one = joined.with_columns(pl.lit(1).alias("game"), pl.Series("switched", order, pl.Boolean))
    if protocol == "arena_hard":
        number = pl.int_range(pl.len())
        both = [
            joined.with_columns(number.alias("n"), pl.lit(g).alias("game"), pl.lit(g == 2).alias("switched"))
            for g in (1, 2)
        ]
        one = pl.concat(both).sort("n", "game").drop("n")
    unasked = pl.col("answer_reason").is_in(NEVER_ASKED)
    decided = (
        pl.when(unasked)
        .then(pl.lit("not_asked"))
        .when(pl.col("baseline_answer").is_null())
        .then(pl.lit("no_baseline"))
        .when(pl.col("answer").is_null())
        .then(pl.lit("empty"))
        .when(pl.col("answer") == pl.col("baseline_answer"))
        .then(pl.lit("identical"))
    )
    return one.with_columns(decided.alias("decided"))


def ask_about(game: dict, template: list[dict]) -> dict:
    """What the judge is asked; the row that its judgement is stored under."""
    answers = [game["baseline_answer"], game["answer"]]
    first, second = reversed(answers) if game["switched"] else answers
    messages = fill_template(template, game["instruction"], first, second)
    return {"id": game["id"], "game": game["game"], "messages": messages}


def finish(rows: list[dict], said: list[dict], ask) -> list[dict]:
    """The judgements, those without any verdict with what the judge adds when asked to finish."""
    open_ = [i for i, judgement in enumerate(said) if judgement["text"] and not VERDICT.search(judgement["text"])]
    more = ask([{**rows[i], "messages": go_on(rows[i]["messages"], said[i]["text"])} for i in open_])
    for i, added in zip(open_, more, strict=True):
        spent = [name for name in ("n_tokens", "n_prompt_tokens", "usd") if said[i].get(name) is not None]
        counts = {name: said[i][name] + (added.get(name) or 0) for name in spent}
        said[i] = said[i] | counts | {"text": f"{said[i]['text']}\n{added['text'] or ''}"}
    return said


def go_on(messages: list[dict], text: str) -> list[dict]:
    return [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": FINISH}]


def put_together(games: pl.DataFrame, rows: list[dict], said: list[dict], protocol: str) -> pl.DataFrame:
    """Every comparison with what was said of it. `judged` is null, and a reason there, where nothing can be read."""
    keys = pl.DataFrame(
        {"id": [row["id"] for row in rows], "game": [row["game"] for row in rows]},
        schema={"id": pl.String, "game": games["game"].dtype},
    )
    heard = keys.hstack(pl.DataFrame([{name: r.get(name) for name in SAID} for r in said], schema=SAID))
    readable = pl.col("logprobs" if protocol == "alpaca_eval" else "text")
    judged = pl.coalesce("decided", readable)
    unreadable = pl.when(judged.is_null()).then("reason")
    no_baseline = pl.when(pl.col("decided") == "no_baseline").then(pl.lit("no_baseline_answer"))
    never = pl.when(pl.col("decided") == "not_asked").then("answer_reason").otherwise(no_baseline)
    return games.join(heard, on=["id", "game"], how="left", validate="1:1", maintain_order="left").select(
        "id",
        "benchmark",
        "base",
        "teacher",
        "game",
        "switched",
        "decided",
        "text",
        "logprobs",
        "n_tokens",
        "n_prompt_tokens",
        "usd",
        pl.col("answer").str.len_chars().fill_null(0).alias("len_model"),
        pl.col("baseline_answer").str.len_chars().alias("len_baseline"),
        (pl.col("finish_reason") == "length").fill_null(False).alias("answer_cut"),
        judged.alias("judged"),
        pl.coalesce(never, unreadable).alias("reason"),
    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=sorted(FIXED), required=True)
    judge, sampling = entry_of("language_judge", *ENGINE_KEYS), entry_of("judge_sampling")
    parser.add_argument("--judge", type=judge, required=True, help="engine, model, revision ... as JSON")
    parser.add_argument("--sampling", type=sampling, default="{}", help="what differs from GREEDY, as JSON")
    parser.add_argument("--template", type=Path, required=True, help="messages with {instruction}, {output_1} ...")
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON, for the engine openai")
    parser.add_argument("--prompts", type=Path, required=True, help="parquet with id and instruction")
    parser.add_argument("--baseline", type=Path, required=True, help="parquet of the baseline's answers")
    parser.add_argument("--answers", type=Path, required=True, help="parquet of the model's answers")
    parser.add_argument("--store", type=Path, required=True, help="folder of the row store")
    parser.add_argument("--output", type=Path, required=True, help="parquet of judgments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
