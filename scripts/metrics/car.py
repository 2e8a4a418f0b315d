"""CAR, the compatibility-adjusted reward (paper, section 5), and what it is made of."""

import polars as pl

# nats per token with the end of turn, over the sums of score_likelihoods.py: L of a single response
LOSS = (pl.col("nll") + pl.col("end_nll")) / (pl.col("n_tokens") + pl.col("end_n_tokens"))

BETAS = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100]  # a grid: from the reward alone to next to the reward per nat


def car(reward, loss, beta: float):
    """Compatibility-adjusted reward, r / (1 + beta L) of a data set's mean reward r and mean loss L (paper, section 5).

    Takes numbers, arrays or polars expressions. Where r is negative a larger loss raises it: mark such values.
    """
    return reward / (1 + beta * loss)


def preferred(reward: pl.Expr) -> pl.Expr:
    """sigmoid(reward) of each row: the chance that the reward model prefers it to a response of reward 0."""
    return 1 / (1 + (-reward).exp())
