"""Rows of an imported table, each next to the instruction that it belongs to."""

import polars as pl

from scripts.tables.sources import normal

WAY_OUT = "data sets with different instructions are compared by `compare: unpaired` at the top of the configuration"


def match_rows(instructions: pl.DataFrame, table: pl.DataFrame, candidates: int = 1) -> pl.DataFrame:
    """The instructions in their order with the columns of the table; `found` is null if the table has no row for one.

    If several rows belong to one instruction, the first `candidates` of them are taken, those with its id before those
    with its text; the column `candidate` numbers them from 0. Exits if an id has one instruction here and another one
    in the table.
    """
    return first_rows(instructions, belonging_rows(instructions, table), candidates)


def belonging_rows(instructions: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """The rows of the table that belong to an instruction, with its id: those with its id first.

    A row belongs to the instruction with its id, or, if no instruction has its id, to the one with its text.
    """
    empty = {name: pl.lit(None, pl.String) for name in ("id", "instruction") if name not in table.columns}
    table = table.with_columns(**empty).rename({"id": "own_id"})
    table = table.with_columns(instruction=normal(table["instruction"]), found=True)
    by_id = instructions.select("id", own_id="id", instruction_here="instruction")
    by_text = instructions.select("instruction", id_by_text="id")
    table = table.join(by_id, on="own_id", how="left", maintain_order="left")
    refuse_other_texts(table.filter(pl.col("instruction") != pl.col("instruction_here"))["id"])
    table = table.join(by_text, on="instruction", how="left", maintain_order="left").sort(pl.col("id").is_null())
    table = table.with_columns(pl.coalesce("id", "id_by_text").alias("id"))
    return table.filter(pl.col("id").is_not_null()).drop("own_id", "instruction", "instruction_here", "id_by_text")


def first_rows(instructions: pl.DataFrame, table: pl.DataFrame, candidates: int) -> pl.DataFrame:
    """The instructions, each with its first rows in the table, or once without any."""
    numbered = table.with_columns(candidate=pl.int_range(pl.len(), dtype=pl.Int32).over("id"))
    first = numbered.filter(pl.col("candidate") < candidates)
    if table.height > first.height:
        print(f"rows left out because earlier rows belong to the same instruction: {table.height - first.height}")
    found = instructions.join(first, on="id", how="left", validate="1:m", maintain_order="left_right")
    return found.with_columns(pl.col("candidate").fill_null(0))


def refuse_several(table: pl.DataFrame, where: str) -> None:
    """Exit if rows with one `id` have different responses."""
    several = table.group_by("id").agg(n=pl.col("response").drop_nulls().n_unique()).filter(pl.col("n") > 1)
    if several.height:
        n = several["n"].max()
        raise SystemExit(
            f"{where}: instructions with several different responses: {several.height}, with up to {n} each: write "
            f"`candidates: {n}` beside `import` to make the teacher a pool, from which a teacher with `select` takes "
            "one, `candidates: 1` to take the first, or `match` if they are those of several teachers"
        )


def refuse_other_texts(ids: pl.Series) -> None:
    if len(ids):
        raise SystemExit(
            f"ids with a different instruction in the table ({len(ids)}): {ids.head(3).to_list()}: if its ids are not "
            "those of the instructions, leave out the column id, and rows are matched by the text"
        )


def match_responses(
    instructions: pl.DataFrame, table: pl.DataFrame, where: str, candidates: int | None = 1, way_out: str = ""
) -> pl.DataFrame:
    """match_rows of a table with the column response, and `reason`: why the response cannot be used, else null.

    The response is null if it cannot be used, except for `undecodable`, whose text is kept. Exits if no response can be
    used, with the reasons; or if `candidates` is None and an instruction has several different responses. where: the
    name of the table in these messages; way_out: what to do if no row matches.
    """
    table = table if "unreadable" in table.columns else table.with_columns(unreadable=pl.lit(None, pl.String))
    if unreadable := table["unreadable"].drop_nulls().value_counts(sort=True).rows():
        print(f"rows that are no conversation: {', '.join(f'{reason}: {n}' for reason, n in unreadable)}", flush=True)
    response = pl.col("response")
    reason = (
        pl.when(pl.col("found").is_null())
        .then(pl.lit("not_in_import"))
        .when(pl.col("unreadable").is_not_null())
        .then(pl.col("unreadable"))
        .when(response.is_null())
        .then(pl.lit("no_response"))
        .when(response.str.strip_chars() == "")
        .then(pl.lit("empty"))
        .when(response.str.contains("\ufffd"))
        .then(pl.lit("undecodable"))
    )
    kept = pl.when(reason.is_null() | (reason == "undecodable")).then(response)
    rows = belonging_rows(instructions, table)
    if candidates is None:
        refuse_several(rows, where)
    matched = first_rows(instructions, rows, candidates or 1).with_columns(response=kept, reason=reason)
    if not matched["reason"].null_count():
        found = f"none of {instructions.height} instructions has a usable response ({counted(matched['reason'])})"
        why = "" if matched["found"].count() else unmatched(instructions, table) + (way_out and f"; {way_out}")
        raise SystemExit(f"{where}: {found}{why}")
    return matched


def unmatched(instructions: pl.DataFrame, table: pl.DataFrame) -> str:
    """The first ids and texts of both sides, which show why they do not match."""
    names = [name for name in ("id", "instruction") if name in table.columns]
    if not table.height:
        return "; the table has no row"
    pairs = [f"{name} {str(frame[name][0])[:60]!r}" for frame in (table, instructions) for name in names]
    there, here = " and ".join(pairs[: len(names)]), " and ".join(pairs[len(names) :])
    advice = "" if "instruction" in names else ": name its column of the instruction to match by text"
    return f"; its first row has {there}, and the first instruction {here}{advice}"


def counted(values: pl.Series) -> str:
    """Each value with its number, the most frequent first."""
    return ", ".join(f"{value}: {n}" for value, n in values.drop_nulls().value_counts(sort=True).rows())
