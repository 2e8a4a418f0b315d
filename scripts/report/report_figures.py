"""Which figures a report has: those of the paper's kind for which its tables have numbers."""

import polars as pl

from scripts.correlations.pairs import ap_error
from scripts.metrics.definitions import named_columns
from scripts.report.draw_figures import dots, dots_of_bases, heat_map, lines, scatter

MEANS = {  # of teachers.csv: what is on the axis, and what a reader should know
    "response_length": (
        "tokens",
        "Length of the responses, in tokens of the base's own tokenizer (the paper's Fig. 6).",
    ),
    "loss": ("nats per token", "Loss of the base on the responses before it is trained: L of CAR."),
    "ppl_self": ("perplexity", "Perplexity of the responses under the base itself (the paper's Figs. 7 to 9)."),
    "ifd_self": ("IFD", "Instruction-following difficulty under the base itself (the paper's Figs. 7 to 9)."),
}
NAMED = {  # the same of columns with a model's name
    "reward": ("mean reward", "Mean reward of the responses by {} (the paper's Fig. 4)."),
    "ppl": ("perplexity", "Perplexity of the responses under {} (the paper's Figs. 7 to 9)."),
    "ifd": ("IFD", "Instruction-following difficulty of the responses under {}."),
}


def figures_of_base(tables: dict[str, pl.DataFrame], base: str, variants: dict) -> list[dict]:
    """title, caption and svg of each figure of one base. `variants`: model and sampling of teachers that share one."""
    teachers = tables["teachers"].filter(base=base)
    sure = teachers.join(tables["stability"].filter(base=base), on="teacher", how="left")
    found = [
        {
            "title": f"CAR of the teachers for {base}",
            "caption": "With the 95 % interval over other instructions. Colors are families.",
            "svg": dots(sure, "car", "car_se", "family", "CAR"),
        }
    ]
    if "performance" not in tables:
        return found
    told = teachers.select("base", "teacher", "family", "car")
    scored = tables["performance"].select("base", "teacher", "ap", ap_se=ap_error(tables["performance"]))
    pairs = told.join(scored, on=["base", "teacher"], how="left")
    pairs = pairs.sort("ap", "teacher", descending=[True, False], nulls_last=True)
    both = pairs.drop_nulls(["ap", "car"])
    found.append(
        {
            "title": f"Average performance of {base} by teacher",
            "caption": "AP with the 95 % interval of its judgments (the paper's Fig. 2). Colors are families.",
            "svg": dots(pairs, "ap", "ap_se", "family", "AP"),
        }
    )
    if both.height:
        found.append(
            {
                "title": f"CAR against AP for {base}",
                "caption": "CAR is right where points rise from left to right.",
                "svg": scatter(both, "car", "ap", "CAR", "AP"),
            }
        )
    for model, names in variants.items():
        cells = {names[row["teacher"]]: row["ap"] for row in both.iter_rows(named=True) if row["teacher"] in names}
        if len(cells) > 1:
            caption = "AP by the sampling of the same teacher (the paper's Fig. 3)."
            found.append({"title": f"Sampling of {model}", "caption": caption, "svg": heat_map(cells, f"AP of {base}")})
    return found


def figures_of_metrics(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """The same of the means of each metric, the bases side by side."""
    teachers = tables["teachers"]
    found = []
    for column in [name for name in (*named_columns(teachers), *MEANS) if teachers[name].count()]:
        kind, _, model = column.partition(":")
        label, caption = MEANS.get(column) or NAMED[kind]
        svg = dots_of_bases(teachers.drop_nulls(column), column, f"{label}{f' by {model}' if model else ''}")
        found.append({"title": column, "caption": caption.format(model), "svg": svg})
    return found


def figures_of_car(car: pl.DataFrame, settings: dict) -> list[dict]:
    """rho of CAR over beta, and over the reward's zero, by base; the dotted line is what the study uses."""
    chosen = car.filter(reward_model=settings["reward_model"], transform=settings["transform"])
    over_beta = chosen.filter((pl.col("origin") == 0) & pl.col("beta_chosen_on").is_null())
    found = [
        {
            "title": "rho of CAR over beta",
            "caption": "Bands are 95 % intervals over teachers. The dotted line is the beta of this study.",
            "svg": lines(over_beta, "beta", "base", "beta", settings["beta"]),
        }
    ]
    over_origin = chosen.filter((pl.col("beta") == settings["beta"]) & pl.col("beta_chosen_on").is_null())
    if over_origin["origin"].n_unique() > 1:
        caption = "A reward model's zero is arbitrary: this much depends on it. The dotted line is no shift."
        svg = lines(over_origin, "origin", "base", "what is added to every reward", 0.0)
        found.append({"title": "rho of CAR over the reward's zero", "caption": caption, "svg": svg})
    return found
