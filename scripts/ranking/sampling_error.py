"""CAR of samples of instructions, and its sampling error. Arrays have teachers on the last axis."""

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


def car_of_unpaired_samples(r: list[np.ndarray], loss: list[np.ndarray], beta: float) -> tuple[np.ndarray, np.ndarray]:
    """The same from the rewards and losses (n,) of each teacher's own instructions, whose numbers may differ.

    The samples are independent, and so are their errors: the covariance has zeros outside its diagonal.
    """
    alone = [car_of_samples(x[:, None], y[:, None], beta) for x, y in zip(r, loss, strict=True)]
    return np.concatenate([means for means, _ in alone]), np.diag([covariance.item() for _, covariance in alone])
