"""The metrics of a data set of responses: name, direction, formula, source.

A row is one response with the sums of score_likelihoods.py, the bytes of measure_diversity.py and its rewards. The
value of a data set is the mean over its rows, except for RSR and diversity, which are ratios of two means or sums, and
for trimmed means.
"""

from typing import NamedTuple

import polars as pl

from scripts.metrics.car import LOSS


class Metric(NamedTuple):
    row: pl.Expr  # value of one row
    better: str  # higher | lower: the declared direction, by which correlations are signed
    source: str
    data_set: pl.Expr | None = None  # value of a data set, if it is not the mean over its rows


ANSWER_NLL = pl.col("nll") / pl.col("n_tokens")
PROMPT_NLL = pl.when(pl.col("prompt_n_tokens") > 0).then(pl.col("prompt_nll") / pl.col("prompt_n_tokens"))
TRIMMED = (pl.len() * 0.1).floor().cast(pl.Int64)  # rows left out at each end

METRICS = {
    "response_length": Metric(pl.col("n_tokens"), "higher", "tokens of the base's own tokenizer (paper, Table 4)"),
    "loss": Metric(
        LOSS,
        "lower",
        "nats per token, the end of turn included, as in fine-tuning: L of CAR (paper); minus GRAPE (2502.04194)",
    ),
    "loss_without_end": Metric(pl.col("nll") / pl.col("n_tokens"), "lower", "nats per token, without the end of turn"),
    "ppl_self": Metric((pl.col("nll") / pl.col("n_tokens")).exp(), "lower", "perplexity under the base (2402.00530)"),
    "ppl_self_trimmed": Metric(
        (pl.col("nll") / pl.col("n_tokens")).exp(),
        "lower",
        "perplexity under the base; of a data set: without the highest and the lowest 10 % of rows, because a few rows "
        "decide the mean of all",
        data_set=pl.col("ppl_self_trimmed").sort().slice(TRIMMED, pl.len() - 2 * TRIMMED).mean(),
    ),
    "ifd_self": Metric(
        pl.when(pl.col("direct_n_tokens") > 0).then(
            (pl.col("nll") / pl.col("n_tokens") - pl.col("direct_nll") / pl.col("direct_n_tokens")).exp()
        ),
        "higher",
        "perplexity given the instruction over perplexity alone (2402.00530, code_ifd/data_analysis.py); "
        "null for a response of one token if the base has no BOS",
    ),
    "rsr": Metric(
        pl.when(pl.col("nll") > 0).then(pl.col("rank_sum") / pl.col("nll")),
        "lower",
        "rank-surprisal ratio: ranks of the tokens, at most 100 each, over their nats; of a data set: mean rank over "
        "mean nats (2601.14249)",
        data_set=pl.col("mean_rank").mean() / pl.col("loss_without_end").mean(),
    ),
    "entropy": Metric(
        pl.col("entropy") / pl.col("n_tokens"),
        "lower",
        "entropy of the base's predictions, in nats per token (2601.14249)",
    ),
    "rank_entropy": Metric(
        pl.when(pl.col("entropy") > 0).then(pl.col("rank_sum") / pl.col("entropy")),
        "lower",
        "RSR with the entropy of the predictions in place of the nats of the tokens (2601.14249, ablation)",
        data_set=pl.col("mean_rank").mean() / pl.col("entropy").mean(),
    ),
    "scas": Metric(
        0.5 * ANSWER_NLL * (ANSWER_NLL * pl.col("answer_similarity") + PROMPT_NLL * pl.col("prompt_similarity")),
        "lower",
        "nats per token of answer and prompt, times how similar their tokens are inside the base "
        "(2605.26872, scas/scoring/metric_utils.py); null if the base has no `mlp.up_proj` in its last block",
    ),
    "aslec_drop": Metric(
        pl.when(pl.col("n_tokens") > pl.col("first_n_tokens")).then(
            (pl.col("first_nll") - pl.col("nll")) / (pl.col("n_tokens") - pl.col("first_n_tokens"))
        ),
        "higher",
        "log-probability per token, without the first token of each step (2604.06834, merge_cal_limo_ours.py); "
        "null for a response of first tokens only",
    ),
    "diversity": Metric(
        pl.col("deflated_bytes") / pl.col("n_bytes"),
        "higher",
        "bytes of the responses compressed over their bytes: the inverse of the compression ratio (2403.00553)",
        data_set=pl.col("deflated_bytes").sum() / pl.col("n_bytes").sum(),
    ),
}
# values of a row that are not metrics, but that values of a data set are made from
PARTS = {
    "mean_rank": pl.col("rank_sum") / pl.col("n_tokens"),
    "n_bytes": pl.col("n_bytes"),
    "deflated_bytes": pl.col("deflated_bytes"),
    "cut": (pl.col("finish_reason") == "length").cast(pl.Float64),
    # of LARK: over the scored tokens, the end of turn included, as in `loss`
    "brier": (pl.col("brier") + pl.col("end_brier")) / (pl.col("n_tokens") + pl.col("end_n_tokens")),
    # of ASLEC-CASL
    "log_prob": -ANSWER_NLL,
    "first_log_prob": -pl.col("first_nll") / pl.col("first_n_tokens"),
    "first_share": pl.col("first_n_tokens") / pl.col("n_tokens"),
}
MAX_CUT = 0.05  # a teacher with a larger share of responses cut at max_new_tokens is marked


class DataSetMetric(NamedTuple):
    better: str
    source: str


# values of a data set that depend on the other compared teachers of the base: scripts/ranking/relative_metrics.py;
# column `reward_minus_ppl:<reward model>`
RELATIVE_METRICS = {
    "lark": DataSetMetric(
        "higher", "learnability among the teachers' responses to the same instruction (2605.30651, lark/score_lark.py)"
    ),
    "aslec_casl": DataSetMetric(
        "higher", "log-probability per token, without the effect of the share of first tokens of steps (2604.06834)"
    ),
    "reward_minus_ppl": DataSetMetric("higher", "z of the mean reward minus z of the mean log-perplexity: no beta"),
}

# values of a data set from sampled instructions, if the configuration asks for them: scripts/ranking/sampled_metrics.py
SAMPLED_METRICS = {
    "g_norm": DataSetMetric(
        "lower", "length of the gradient of a response's mean loss, mean over responses (2511.02833)"
    ),
    "g_vendi": DataSetMetric(
        "higher", "exp of the entropy of the eigenvalues of the normalized gradients' second moment (2505.20161)"
    ),
    "lalp": DataSetMetric(
        "higher", "mean log-probability of a step given at most four steps before it, mean over steps (2510.03988)"
    ),
    "grace": DataSetMetric(
        "lower",
        "held-out gradients, measured by the inverse second moment of the others, normalized "
        "(2511.02833, GRACE_computation.py)",
    ),
}

# metrics of a response under a reference model: columns `ppl:<name>` and `ifd:<name>`
REFERENCE_METRICS = {"ppl": METRICS["ppl_self"], "ifd": METRICS["ifd_self"]}

# from the config, without any metric: what a metric must beat
BASELINES = ["same_family", "parameters", "published_score"]


def named_columns(rows: pl.DataFrame) -> list[str]:
    """Columns with a model's name in them: reward:<reward model>, ppl:<reference model>, ifd:<reference model>."""
    return [name for name in rows.columns if name.partition(":")[0] in ("reward", *REFERENCE_METRICS) and ":" in name]


def further_columns(teachers: pl.DataFrame) -> list[str]:
    """The columns with RELATIVE_METRICS, as reward_minus_ppl:<reward model>, and with SAMPLED_METRICS."""
    return [name for name in teachers.columns if name.partition(":")[0] in RELATIVE_METRICS | SAMPLED_METRICS]


def scores_in(teachers: pl.DataFrame) -> list[str]:
    """The metrics of a table of teachers that are computed from their responses, CAR first: all but the baselines."""
    return ["car", *named_columns(teachers), *METRICS, *further_columns(teachers)]


def data_set_values(names: list[str]) -> list[pl.Expr]:
    """Expressions over rows for the data set's value of each metric or part in `names`."""
    own = {name: metric.data_set for name, metric in METRICS.items() if metric.data_set is not None}
    return [own.get(name, pl.col(name).mean()).alias(name) for name in names]


def better(metric: str) -> str:
    """higher or lower: the declared direction of the better teacher. Rewards, CAR and the baselines: higher."""
    declared = METRICS | REFERENCE_METRICS | RELATIVE_METRICS | SAMPLED_METRICS
    name = metric.partition(":")[0]
    return declared[name].better if name in declared else "higher"
