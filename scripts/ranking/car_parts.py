"""How much of the order by CAR is the reward's, and how much the loss's. Arrays have one value per teacher."""

import numpy as np
from scipy.stats import kendalltau

from scripts.metrics.car import car


def parts_of_car(r: np.ndarray, loss: np.ndarray, beta: float) -> dict[str, float | None]:
    """Kendall's tau-b of CAR with r and with minus the loss, and how far each part of CAR is spread over the teachers.

    A spread is the standard deviation of the logarithm, because log CAR = log r - log(1 + beta L). None where a value
    does not exist: with one teacher, for a constant part, and for the spread of r if it is not positive.
    """
    if len(r) < 2:
        return dict.fromkeys(("tau_reward", "tau_loss", "spread_reward", "spread_loss"))
    value = car(r, loss, beta)
    return {
        "tau_reward": tau(value, r),
        "tau_loss": tau(value, -loss),
        "spread_reward": float(np.log(r).std(ddof=1)) if (r > 0).all() else None,
        "spread_loss": float(np.log1p(beta * loss).std(ddof=1)),
    }


def tau(x: np.ndarray, y: np.ndarray) -> float | None:
    found = float(kendalltau(x, y).statistic)
    return None if np.isnan(found) else round(found, 12)  # not 0.9999999999999999
