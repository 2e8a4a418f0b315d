"""Who is first by each score, and which scores contradict each other, in words."""

import polars as pl

SAMPLED = {"n_gradients": "g_norm, g_vendi and grace are", "n_lalp": "lalp is"}


def scores_in_words(scores: pl.DataFrame) -> str:
    """Sentences on the rows of scores.csv of one base; empty if fewer than two scores order the teachers."""
    ordered = scores.drop_nulls("first")
    if ordered.height < 2:
        return ""
    firsts = (
        ordered.group_by("first", maintain_order=True).agg("score").sort(pl.col("score").list.len(), descending=True)
    )
    named = "; ".join(f"{first} by {', '.join(names)}" for first, names in firsts.iter_rows())
    n, agree = ordered.height, firsts["score"][0].len()
    same = (
        f"All {n} scores have the same first teacher"
        if agree == n
        else f"{agree} of {n} scores have the same first teacher"
    )
    return f"{same}. First is {named}. {lowest(ordered)}"


def sampled_in_words(teachers: pl.DataFrame) -> str:
    """Which scores of a table of teachers are from sampled instructions, and how many; empty if there are none."""
    sentences = [
        f"{scores} from {numbers_of(teachers[column])} sampled instructions."
        for column, scores in SAMPLED.items()
        if column in teachers.columns
    ]
    return " ".join(sentences)


def numbers_of(counts: pl.Series) -> str:
    lowest, highest = counts.min(), counts.max()
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"


def lowest(ordered: pl.DataFrame) -> str:
    """How many pairs of scores have a tau below 0, and the pair with the lowest one."""
    taus = [
        (row[f"tau:{other}"], row["score"], other)
        for number, row in enumerate(ordered.iter_rows(named=True))
        for other in ordered["score"][number + 1 :]
    ]
    value, a, b = min(taus)
    opposite = sum(tau < 0 for tau, _, _ in taus)
    return (
        f"Kendall's tau of two scores is below 0 for {opposite} of {len(taus)} pairs; "
        f"the lowest is {value:.2f}, of {a} and {b}."
    )
