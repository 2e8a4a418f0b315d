"""GRACE, G-Vendi and G-norm of a teacher, from the gradients of sampled instructions.

A gradient is that of the base for one response (scripts/gradients/row_gradients.py). GRACE and G-Vendi are computed
from projections x (rows, dimensions). One teacher is in memory at a time.
"""

import numpy as np

SPLITS = 10  # seeds 0 to 9
HELD_OUT = 0.1  # of the instructions
SMOOTHING = 1e-3  # of the eigenvalues
SMALLEST = 1e-12  # length of a gradient that is divided by


def gradient_scores(norms: np.ndarray, projections: np.ndarray) -> dict[str, float | None]:
    """g_norm, g_vendi and grace, from norms (rows) and projections (rows, dimensions), rows in the order of their id.

    None without rows; no grace with less than two.
    """
    if not len(norms):
        return dict.fromkeys(("g_norm", "g_vendi", "grace"))
    return {
        "g_norm": float(norms.mean()),
        "g_vendi": g_vendi(projections),
        "grace": grace(projections) if len(norms) > 1 else None,
    }


def g_vendi(x: np.ndarray) -> float:
    """exp of the entropy of the eigenvalues of the second moment of the rows, divided by their length (2505.20161)."""
    values = np.linalg.eigvalsh(second_moment(normalized(x)))
    values = values[values > 0] / values[values > 0].sum()
    return float(np.exp(-np.sum(values * np.log(values))))


def grace(x: np.ndarray) -> float:
    """trace(K^-1 S), the mean over SPLITS random splits of the rows (2511.02833, GRACE_computation.py).

    S is the second moment of the held-out rows, and K that of the others, divided by their length. To K's eigenvalues w
    goes a part of their mean: (1 - SMOOTHING) w + SMOOTHING mean(w), which is the same as adding a multiple of the
    identity.
    """
    held_out = max(1, int(len(x) * HELD_OUT))
    values = []
    for seed in range(SPLITS):
        shuffled = x[np.random.default_rng(seed).permutation(len(x))]
        k = second_moment(normalized(shuffled[:-held_out]))
        k = (1 - SMOOTHING) * k + SMOOTHING * np.trace(k) / len(k) * np.eye(len(k))
        rows = shuffled[-held_out:]
        values.append(np.sum(rows * np.linalg.solve(k, rows.T).T) / held_out)
    return float(np.mean(values))


def second_moment(x: np.ndarray) -> np.ndarray:
    """(dimensions, dimensions)."""
    return x.T @ x / len(x)


def normalized(x: np.ndarray) -> np.ndarray:
    """The rows, each divided by its length."""
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(SMALLEST)
