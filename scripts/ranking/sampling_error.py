"""CAR of a sample of instructions, and its sampling error. Arrays have teachers on the last axis."""

import numpy as np

from scripts.metrics.car import car


def car_of_samples(r: np.ndarray, loss: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """CAR (teachers,) and the covariance (teachers, teachers) of its error, from rewards and losses (n, teachers).

    The influence of a row on CAR is the derivative of r / (1 + beta L) at the means, times the row's distance to them
    (the delta method). All teachers answer the same instructions, so their errors are correlated.
    """
    mean_r, mean_loss = r.mean(0), loss.mean(0)
    influence = (r - mean_r - beta * car(mean_r, mean_loss, beta) * (loss - mean_loss)) / (1 + beta * mean_loss)
    return car(mean_r, mean_loss, beta), np.atleast_2d(np.cov(influence, rowvar=False)) / len(r)
