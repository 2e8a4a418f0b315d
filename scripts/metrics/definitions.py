"""The metrics of a data set of responses: name, direction, formula, source.

A row is one response with the sums of score_likelihoods.py, the bytes of measure_diversity.py and its rewards; a data
set value is a mean over rows, but for RSR and diversity, which are ratios of two.
"""

from typing import NamedTuple

import polars as pl

from scripts.metrics.car import LOSS


class Metric(NamedTuple):
    row: pl.Expr  # value of one row
    better: str  # higher | lower: the declared direction, by which correlations are signed
    source: str
    of_rows: pl.Expr | None = None  # value of a data set, where that is not the mean over its rows


METRICS = {
    "response_length": Metric(pl.col("n_tokens"), "higher", "tokens of the base's own tokenizer (paper, Table 4)"),
    "loss": Metric(
        LOSS,
        "lower",
        "nats per token with the end of turn, as in fine-tuning: L of CAR (paper); minus GRAPE (2502.04194)",
    ),
    "loss_without_end": Metric(pl.col("nll") / pl.col("n_tokens"), "lower", "nats per token of the text alone"),
    "ppl_self": Metric((pl.col("nll") / pl.col("n_tokens")).exp(), "lower", "perplexity under the base (2402.00530)"),
    "ifd_self": Metric(
        pl.when(pl.col("direct_n_tokens") > 0).then(
            (pl.col("nll") / pl.col("n_tokens") - pl.col("direct_nll") / pl.col("direct_n_tokens")).exp()
        ),
        "higher",
        "perplexity given the instruction over perplexity alone (2402.00530, code_ifd/data_analysis.py); "
        "none for a one-token response to a base without BOS",
    ),
    "rsr": Metric(
        pl.when(pl.col("nll") > 0).then(pl.col("rank_sum") / pl.col("nll")),
        "lower",
        "rank-surprisal ratio: rank of a token, at most 100, over its nats (2601.14249); means over rows of both",
        of_rows=pl.col("mean_rank").mean() / pl.col("loss_without_end").mean(),
    ),
    "diversity": Metric(
        pl.col("deflated_bytes") / pl.col("n_bytes"),
        "higher",
        "bytes of the responses compressed over their bytes: the inverse of the compression ratio (2403.00553)",
        of_rows=pl.col("deflated_bytes").sum() / pl.col("n_bytes").sum(),
    ),
}
# of a row; no metrics, but data set values need them
PARTS = {
    "mean_rank": pl.col("rank_sum") / pl.col("n_tokens"),
    "n_bytes": pl.col("n_bytes"),
    "deflated_bytes": pl.col("deflated_bytes"),
    "cut": (pl.col("finish_reason") == "length").cast(pl.Float64),
}
MOST_CUT = 0.05  # share of responses cut at their longest length beyond which a teacher is marked


# what a reference model says of a response, as `ppl:<name>` and `ifd:<name>`
REFERENCE_METRICS = {"ppl": METRICS["ppl_self"], "ifd": METRICS["ifd_self"]}


BASELINES = ["same_family", "parameters", "published_score"]  # told by the config; what a metric has to beat


def named_columns(rows: pl.DataFrame) -> list[str]:
    """Columns of values by one named model: reward:<reward model>, ppl:<reference model>, ifd:<reference model>."""
    return [name for name in rows.columns if name.partition(":")[0] in ("reward", *REFERENCE_METRICS) and ":" in name]


def of_rows(names: list[str]) -> list[pl.Expr]:
    """The data set value of each named column of rows."""
    own = {name: metric.of_rows for name, metric in METRICS.items() if metric.of_rows is not None}
    return [own.get(name, pl.col(name).mean()).alias(name) for name in names]


def better(metric: str) -> str:
    """higher or lower: in which direction a metric is declared to point to the better teacher."""
    known = METRICS | REFERENCE_METRICS
    name = metric.partition(":")[0]
    return known[name].better if name in known else "higher"  # rewards and CAR
