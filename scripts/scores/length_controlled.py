"""AlpacaEval 2's length-controlled win rate: the win rate if both answers had the same length.

A logistic regression of the preference on the difference in length, the difficulty of the instruction and the model
itself (Dubois et al., 2404.04475; length_controlled_v1 of alpaca_eval 0.6.6). The fit also includes, at a low weight,
1,610 rows of verbose and concise variants of the baseline ("gamed rows"). They prevent the length term from taking over
the effect of the model.
"""

import sys

import numpy as np
import polars as pl
from scipy.special import expit

if sys.modules.get("sklearn", ...) is None:  # see scripts/__init__.py
    del sys.modules["sklearn"]

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

STRENGTHS = np.logspace(-4, 4, 10)  # inverse penalties (C) among which cross-validation chooses
GAMED_WEIGHT = 0.1


def features(rows: pl.DataFrame) -> np.ndarray:
    """Features of the model's rows, shape (rows, 3): tanh of the standardized difference in length, difficulty, 1.

    `rows` has len_baseline and len_model in characters, and difficulty (0 if unknown). The difference is divided by its
    standard deviation over these rows.
    """
    difference = (rows["len_baseline"] - rows["len_model"]).cast(pl.Float64)
    length = np.tanh((difference / difference.std(ddof=1)).to_numpy())
    return np.column_stack([length, rows["difficulty"].to_numpy(), np.ones(rows.height)])


def gamed_features(gamed: pl.DataFrame) -> np.ndarray:
    """The same features of the baseline's variants: their differences are already standardized, the last one is 0."""
    length = np.tanh(gamed["std_delta_len"].to_numpy())
    return np.column_stack([length, gamed["difficulty"].to_numpy(), np.zeros(gamed.height)])


def fit(rows: pl.DataFrame, gamed: pl.DataFrame | None, strength: float | None = None) -> tuple[np.ndarray, float]:
    """Weights (length, difficulty, model) and the inverse penalty C, which is cross-validated if it is not given.

    `rows` also has y, 1 if the model wins and 0 if the baseline wins; rows without y are left out of the fit. Each row
    is used twice, as a win with weight y and as a loss with weight 1 - y.
    """
    judged = rows.get_column("y").is_not_null().to_numpy()
    x, y, weight = features(rows)[judged], rows["y"].drop_nulls().to_numpy(), np.ones(int(judged.sum()))
    if gamed is not None:
        x = np.vstack([gamed_features(gamed), x])
        y = np.concatenate([gamed["y"].to_numpy(), y])
        weight = np.concatenate([np.full(gamed.height, GAMED_WEIGHT), weight])
    order = np.lexsort(np.column_stack([x, y, weight]).T)  # the folds and the solver depend on the order of the rows
    x, y, weight = x[order], y[order], weight[order]
    group = np.arange(len(y))
    x, label, group = np.vstack([x, x]), np.repeat([1, 0], len(y)), np.concatenate([group, group])
    weight = np.concatenate([y * weight, (1 - y) * weight])
    strength = strength or cross_validate(x, label, weight, group)
    return regression(strength, x, label, weight).coef_[0], float(strength)


def regression(strength: float, x, label, weight) -> LogisticRegression:
    """An L1-penalized logistic regression without an intercept."""
    model = LogisticRegression(C=strength, l1_ratio=1, solver="liblinear", fit_intercept=False, random_state=123)
    return model.fit(x, label, sample_weight=weight)


def cross_validate(x, label, weight, group, folds: int = 5) -> float:
    """The C with the smallest mean weighted log-loss on held-out rows; both copies of a row are in the same fold."""
    splits = list(GroupKFold(folds).split(x, label, group))
    losses = []
    for strength in STRENGTHS:
        loss = []
        for train, test in splits:
            model = regression(strength, x[train], label[train], weight[train])
            wins = model.predict_proba(x[test])[:, 1]
            of_label = np.log(np.clip(np.where(label[test] == 1, wins, 1 - wins), 1e-15, 1))
            loss.append(-np.average(of_label, weights=weight[test]))
        losses.append(np.mean(loss))
    return float(STRENGTHS[int(np.argmin(losses))])


def win_rate(rows: pl.DataFrame, weights: np.ndarray) -> tuple[float, float]:
    """Win rate in percent with the length term set to 0, and its standard error over instructions."""
    chance = 100 * expit(weights[1] * rows["difficulty"].to_numpy() + weights[2])
    return float(chance.mean()), float(chance.std(ddof=1) / np.sqrt(len(chance)))
