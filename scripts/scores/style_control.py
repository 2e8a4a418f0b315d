"""Win rates at equal style: the regression of Arena-Hard v2 on length, headers, lists and bold words.

A Bradley-Terry model of all models of a benchmark together (arena-hard-auto, show_result.py and add_markdown_info.py):
the log-odds of a win are the strength of the model plus weights times the differences in style. A model's win rate at
equal style is the logistic function of its strength. Lengths are characters here, and tokens of GPT-4o there.
"""

import re
import sys

import numpy as np
from scipy.special import expit

if sys.modules.get("sklearn", ...) is None:  # see scripts/__init__.py
    del sys.modules["sklearn"]

from sklearn.linear_model import LogisticRegression

STYLES = ("length", "headers", "lists", "bold")
CODE = re.compile("```([^`]*)```")
HEADER = re.compile(r"^#{1,6}\s", re.M)
LISTED = [re.compile(r"^\s*\d+\.\s", re.M), re.compile(r"^\s*[-*+]\s", re.M)]
BOLD = [re.compile(r"\*\*[^*\n]+\*\*"), re.compile(r"__[^_\n]+__")]
STRENGTH = 1e4  # inverse penalty (C): almost none, and finite for a model that loses every game


def style_of(text: str | None) -> list[int]:
    """Characters, headers, entries of lists and bold words of an answer; the last three outside of code.

    As the original does it: what a block of code contains is removed wherever it occurs in the text.
    """
    text = text or ""
    plain = text
    for code in CODE.findall(text):
        plain = plain.replace(code, "")
    lists, bold = (sum(len(pattern.findall(plain)) for pattern in patterns) for patterns in (LISTED, BOLD))
    return [len(text), len(HEADER.findall(plain)), lists, bold]


def differences(model: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Differences in style between answers, shape (n, 4) as the styles of both: relative ones, and of densities."""
    length = (model[:, :1] - baseline[:, :1]) / np.maximum(model[:, :1] + baseline[:, :1], 1)
    of_model, of_baseline = (styles[:, 1:] / (styles[:, :1] + 1) for styles in (model, baseline))
    return np.hstack([length, (of_model - of_baseline) / (of_model + of_baseline + 1)])


def normalized(style: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Differences in style with mean 0 and variance 1 over the battles, of which row i has weight[i]."""
    centered = style - np.average(style, axis=0, weights=weight)
    spread = np.sqrt((weight[:, None] * centered**2).sum(0) / (weight.sum() - 1))
    return centered / np.where(spread > 0, spread, 1)


def fit(model: np.ndarray, style: np.ndarray, wins: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The win rate of each model at equal style, in percent, and the weights of the four styles.

    model: the number of the model in each row; style: normalized, shape (n, 4); wins and losses: weights, (n,).
    """
    features = np.hstack([np.eye(model.max() + 1)[model], style])
    regression = LogisticRegression(C=STRENGTH, fit_intercept=False, solver="newton-cholesky", tol=1e-8)
    label = np.repeat([1, 0], len(model))
    regression.fit(np.vstack([features, features]), label, sample_weight=np.concatenate([wins, losses]))
    coefficients = regression.coef_[0]
    return 100 * expit(coefficients[:-4]), coefficients[-4:]
