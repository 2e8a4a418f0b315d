"""CAR, the compatibility-adjusted reward (paper, section 5), and its parts."""

import polars as pl

# L of a single response: nats per token, the end of turn included, from the sums of score_likelihoods.py
LOSS = (pl.col("nll") + pl.col("end_nll")) / (pl.col("n_tokens") + pl.col("end_n_tokens"))

BETAS = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100]  # 0: the reward alone; 100: almost the reward per nat
# what is said wherever teachers are compared that have their own instructions (`compare: unpaired`)
INSTRUCTIONS_DIFFER = (
    "Each teacher has its own instructions (prompts), so a difference may come from these and not from the responses."
)
BETA_RANGE = (0.1, 10)  # the paper does not print its beta; public code uses values near 3


def car(reward, loss, beta: float):
    """CAR = r / (1 + beta L), from a data set's mean reward r and mean loss L (nats per token).

    Takes numbers, arrays or polars expressions. If r is negative, a larger loss raises CAR: mark such values.
    """
    return reward / (1 + beta * loss)


def preferred(reward: pl.Expr) -> pl.Expr:
    """sigmoid(reward) of each row: the chance that the reward model prefers it to a response with reward 0."""
    return 1 / (1 + (-reward).exp())
