"""The figures of a report: those of the paper for which the study's tables have numbers.

A figure is a dict of title, caption and svg.
"""

import polars as pl

from scripts.metrics.definitions import named_columns
from scripts.report.draw_figures import dots, dots_of_bases, heat_map, lines, scatter

MEANS = {  # column of teachers.csv to label of the axis and caption
    "response_length": (
        "tokens",
        "Length of the responses, in tokens of the base's own tokenizer (the paper's Fig. 6).",
    ),
    "loss": ("nats per token", "Loss of the base on the responses before fine-tuning: L of CAR."),
    "ppl_self": ("perplexity", "Perplexity of the responses under the base itself (the paper's Figs. 7 to 9)."),
    "ifd_self": ("IFD", "Instruction-following difficulty under the base itself (the paper's Figs. 7 to 9)."),
}
MEANS_BY_MODEL = {  # the same for columns such as reward:right-answer; {} is the model
    "reward": ("mean reward", "Mean reward of the responses by {} (the paper's Fig. 4)."),
    "ppl": ("perplexity", "Perplexity of the responses under {} (the paper's Figs. 7 to 9)."),
    "ifd": ("IFD", "Instruction-following difficulty of the responses under {}."),
}


def figures_of_base(tables: dict[str, pl.DataFrame], base: str, variants: dict) -> list[dict]:
    """CAR of one base's teachers, and AP if pairs were judged. `variants`: from report_sections.variants_of."""
    found = [figure_of_car(tables, base)]
    if "performance" in tables:
        pairs = with_ap(tables, base)
        found.append(figure_of_ap(pairs, base))
        judged = pairs.drop_nulls(["ap", "car"])
        if judged.height:
            found.append(figure_of_car_and_ap(judged, base))
            found.append(figure_of_choices(tables["scores"].filter(base=base), judged, base))
        found += figures_of_sampling(judged, base, variants)
    return found


def with_ap(tables: dict[str, pl.DataFrame], base: str) -> pl.DataFrame:
    """teacher, family, car, ap and ap_margin of one base, the best AP first."""
    teachers = tables["teachers"].filter(base=base).select("base", "teacher", "family", "car")
    scores = tables["performance"].select("base", "teacher", "ap", pl.col("ap_margin").cast(pl.Float64))
    pairs = teachers.join(scores, on=["base", "teacher"], how="left")
    return pairs.sort("ap", "teacher", descending=[True, False], nulls_last=True)


def figure_of_car(tables: dict[str, pl.DataFrame], base: str) -> dict:
    teachers = tables["teachers"].filter(base=base)
    errors = tables["stability"].filter(base=base).select("teacher", margin=1.96 * pl.col("car_se").cast(pl.Float64))
    return {
        "title": f"CAR of the teachers for {base}",
        "caption": "With 95 % intervals over instructions. Colors show families.",
        "svg": dots(teachers.join(errors, on="teacher", how="left"), "teacher", "car", "margin", "family", "CAR"),
    }


def figure_of_ap(pairs: pl.DataFrame, base: str) -> dict:
    unknown = pairs.drop_nulls("ap")["ap_margin"].null_count()
    no_interval = " A teacher with a score without a standard error has no interval." if unknown else ""
    return {
        "title": f"Average performance of {base} by teacher",
        "caption": "AP with 95 % intervals over prompts, and over seeds if there are several runs each (the paper's "
        f"Fig. 2). Colors show families.{no_interval}",
        "svg": dots(pairs, "teacher", "ap", "ap_margin", "family", "AP"),
    }


def figure_of_car_and_ap(judged: pl.DataFrame, base: str) -> dict:
    return {
        "title": f"CAR and AP for {base}",
        "caption": "Where CAR predicts AP, points rise from left to right.",
        "svg": scatter(judged, "car", "ap", "CAR", "AP"),
    }


def figure_of_choices(scores: pl.DataFrame, judged: pl.DataFrame, base: str) -> dict:
    """AP of the first teacher by each score; a score that orders several teachers first has a line for each."""
    first = scores.drop_nulls("first").with_columns(teacher=pl.col("first").str.split(", ")).explode("teacher")
    chosen = first.join(judged, on="teacher", how="left").sort(
        "ap", descending=True, nulls_last=True, maintain_order=True
    )
    return {
        "title": f"The choice of each score for {base}",
        "caption": "AP of the first teacher by each score, with 95 % intervals. Colors show this teacher; the dotted "
        "line is the highest AP.",
        "svg": dots(chosen, "score", "ap", "ap_margin", "teacher", "AP", judged["ap"].max()),
    }


def figures_of_sampling(judged: pl.DataFrame, base: str, variants: dict) -> list[dict]:
    """AP over temperature and top_p of each model that is several teachers."""
    found = []
    for model, samplings in variants.items():
        aps = judged.filter(pl.col("teacher").is_in(list(samplings))).select("teacher", "ap")
        cells = {samplings[teacher]: ap for teacher, ap in aps.iter_rows()}
        if len(cells) > 1:
            caption = "AP by the sampling of the same teacher (the paper's Fig. 3)."
            found.append({"title": f"Sampling of {model}", "caption": caption, "svg": heat_map(cells, f"AP of {base}")})
    return found


def figures_of_metrics(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """The mean of each metric by teacher, one marker per base."""
    teachers = tables["teachers"]
    found = []
    for column in [name for name in (*named_columns(teachers), *MEANS) if teachers[name].count()]:
        metric, _, model = column.partition(":")
        label, caption = MEANS.get(column) or MEANS_BY_MODEL[metric]
        svg = dots_of_bases(teachers.drop_nulls(column), column, f"{label} by {model}" if model else label)
        found.append({"title": column, "caption": caption.format(model), "svg": svg})
    return found


def figures_of_car(car: pl.DataFrame, settings: dict) -> list[dict]:
    """rho of CAR by base, over beta and over a shift of the reward. `settings`: `car` of the configuration."""
    fixed = car.filter(pl.col("beta_chosen_on").is_null())
    fixed = fixed.filter(reward_model=settings["reward_model"], transform=settings["transform"])
    found = [
        {
            "title": "rho of CAR over beta",
            "caption": "Bands are 95 % intervals over teachers. The dotted line is the beta of this study.",
            "svg": lines(fixed.filter(origin=0), "beta", "base", "beta", settings["beta"]),
        }
    ]
    over_origin = fixed.filter(beta=settings["beta"])
    if over_origin["origin"].n_unique() > 1:
        caption = "The zero of a reward model is arbitrary; this is its effect. The dotted line is no shift."
        svg = lines(over_origin, "origin", "base", "added to every reward", 0.0)
        found.append({"title": "rho of CAR over the reward's zero", "caption": caption, "svg": svg})
    return found
