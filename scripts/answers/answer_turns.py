"""A model answers the turns of each prompt, one after the other, with its own earlier answers in the conversation."""

from collections.abc import Callable

import polars as pl

from scripts.engines.generation import leave_unanswered
from scripts.tables.conversations import as_json, as_text
from scripts.tables.user_turns import asked_turns

ASKED = {"id": pl.String, "instruction": pl.String, "messages": pl.String, "tools": pl.String}


def every_turn(prompts: pl.DataFrame) -> pl.DataFrame:
    """The ids of the prompts; with several turns, a row and the number of the turn for each."""
    if "n_turns" not in prompts.columns:
        return prompts.select("id")
    turns = prompts.select("id", turn=pl.int_ranges(1, pl.col("n_turns") + 1, dtype=pl.Int32))
    return turns.explode("turn")


def answer_turns(prompts: pl.DataFrame, answer: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """What `answer` gives for each prompt; with several turns, a row for each turn, in the order of every_turn.

    answer: a function from id, instruction, messages and tools to results, see answer_instructions. First turns are
    answered before any second one. A turn behind one without an answer has the reason `earlier_turn_<its reason>`.
    """
    if "n_turns" not in prompts.columns:
        return answer(prompts)
    rows, answers, frames = prompts.to_dicts(), {}, []
    for turn in range(1, prompts["n_turns"].max() + 1):
        of_turn = [row for row in rows if row["n_turns"] >= turn]
        ended = {row["id"] for row in of_turn if any(text is None for text, _ in answers.get(row["id"], []))}
        asked = [question(row, answers) for row in of_turn if row["id"] not in ended]
        results = [answer(pl.DataFrame(asked, schema=ASKED))] if asked else []
        for id_ in ended:
            reason = "earlier_turn_" + answers[id_][-1][1].removeprefix("earlier_turn_")
            results.append(leave_unanswered(pl.DataFrame({"id": [id_]}), reason))
        frames.append(pl.concat(results, how="diagonal").with_columns(turn=pl.lit(turn, pl.Int32)))
        for id_, text, reason in frames[-1].select("id", "text", "reason").iter_rows():
            answers.setdefault(id_, []).append((text, reason))
    found = pl.concat(frames, how="diagonal")
    return every_turn(prompts).join(found, on=["id", "turn"], how="left", validate="1:1", maintain_order="left")


def question(row: dict, answers: dict[str, list[tuple]]) -> dict:
    """The next turn of a prompt as a row of instructions; one message of the user is a plain instruction."""
    messages = asked_turns(row, [text for text, _ in answers.get(row["id"], [])])
    is_plain = [message["role"] for message in messages] == ["user"] and not row.get("tools")
    return {
        "id": row["id"],
        "instruction": as_text(messages),
        "messages": None if is_plain else as_json(messages),
        "tools": row.get("tools"),
    }
