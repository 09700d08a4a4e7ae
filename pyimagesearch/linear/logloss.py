"""The log loss of several classes, its slope and its curvature, to full relative precision.

Everything is kept relative to the true class: of a picture that is judged almost surely, the
probability of the truth rounds to 1, but those of the wrong classes are numbers of full precision.
Where C is large, they are what the solution consists of.
"""

import numpy as np


def log_loss(scores: np.ndarray, labels: np.ndarray, used: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the sum of the losses of rows, and the probabilities of their wrong classes.

    Parameters
    ----------
    scores : ndarray of float64, shape (n, K)
        With the intercepts.
    labels : ndarray of int, shape (n,)
        The right classes.
    used : ndarray of bool, shape (n,)
        Which rows count. The others have no loss, and probabilities of 0.

    Returns
    -------
    float
        The loss.
    ndarray of float64, shape (n, K)
        The probabilities, 0 for the right class.
    """
    every = np.arange(len(scores))
    odds = scores - scores[every, labels, None]
    odds[every, labels] = -np.inf  # the truth's own 1 apart, which would drown what is small
    top = np.maximum(odds.max(axis=1), 0)
    odds -= top[:, None]
    np.exp(odds, out=odds)
    truth, others = np.exp(-top), odds.sum(axis=1)
    losses = np.where(top > 0, top + np.log(truth + others), np.log1p(others))
    odds *= (used / (truth + others))[:, None]
    return float(losses @ used), odds


def residuals(wrong: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities less truth, the slope of the loss by the scores: (n, K)."""
    slope = wrong.copy()
    slope[np.arange(len(wrong)), labels] = -wrong.sum(axis=1)
    return slope


def curvature_product(wrong: np.ndarray, labels: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Multiply V (n, K) by the second derivative of the loss, diag(p) - p p^T of each row."""
    every = np.arange(len(wrong))
    V = V - V[every, labels, None]
    V -= np.einsum("ij,ij->i", wrong, V)[:, None]
    V *= wrong
    V[every, labels] = -V.sum(axis=1)
    return V
