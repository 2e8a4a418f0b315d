"""The columns of a table of likelihoods: what is stored of a row, mostly sums, and values of single tokens."""

import polars as pl

SUMS = {
    "n_tokens": pl.Int64,
    "nll": pl.Float64,
    "rank_sum": pl.Int64,
    "entropy": pl.Float64,
    "brier": pl.Float64,
    "first_n_tokens": pl.Int64,
    "first_nll": pl.Float64,
    "end_n_tokens": pl.Int64,
    "end_nll": pl.Float64,
    "end_rank_sum": pl.Int64,
    "end_entropy": pl.Float64,
    "end_brier": pl.Float64,
    "prompt_n_tokens": pl.Int64,
    "prompt_nll": pl.Float64,
    "answer_similarity": pl.Float64,
    "prompt_similarity": pl.Float64,
    "direct_n_tokens": pl.Int64,
    "direct_nll": pl.Float64,
    "truncated": pl.Boolean,
}
PER_TOKEN = {"token_nll": pl.List(pl.Float32), "token_rank": pl.List(pl.UInt8), "direct_token_nll": pl.List(pl.Float32)}
