"""For how many answers the ids of prompt and answer differ from those of the whole conversation, in words."""

import polars as pl


def seams_in_words(seams: pl.DataFrame) -> str:
    """A sentence on the rows of seams.csv of one base."""
    found = seams.filter(pl.col("n_differ") > 0).sort("n_differ", "teacher", descending=[True, False])
    if not found.height:
        return "For every answer, the ids of prompt and answer are those of the whole conversation."
    counts = ", ".join(f"{row['teacher']} {row['n_differ']} of {row['n']}" for row in found.to_dicts())
    return (
        "Answers for which the ids of prompt and answer are not those of the whole conversation, because they begin "
        f"with white space that the tokenizer joins with the prompt: {counts}."
    )
