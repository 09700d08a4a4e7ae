"""What the loss adds to the inverse Hessian of |w|^2 / 2, from the few rows that matter."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from pyimagesearch.linear.logloss import Curvature

SUPPORT = 100  # rows that matter to a class, at most: 400 cost more than they save (CALTECH-101)
LEAST_PULL = 1e-2  # C p (1 - p) |x|^2 of a row that matters; 1 is what regularisation weighs
RIDGES = (1e-14, 1e-12, 1e-9, 1e-6, 1.0)  # of a mean diagonal


def supports(curvature: Curvature, squares: np.ndarray, size: int) -> list[np.ndarray]:
    """Return the rows that matter to each class: indices in ascending order.

    Parameters
    ----------
    curvature : Curvature
        Of the loss.
    squares : ndarray, shape (n,)
        Squared lengths of the rows.
    size : int
        How many to take of each class, at most.
    """
    pulls = (curvature.diagonal() * squares[:, None]).T  # (n, K) -> (K, n)
    found = []
    for pull in pulls:
        rows = np.flatnonzero(pull > LEAST_PULL)
        if len(rows) > size:
            rows = np.sort(rows[np.argpartition(-pull[rows], size)[:size]])
        found.append(rows)
    return found


class Corrections:
    """``1 - P^-1``, with the Hessian P of the loss of some rows, in terms of their scores.

    By Woodbury's identity it is ``sqrt(W) (1 + sqrt(W) G sqrt(W))^-1 sqrt(W)`` for a class, with
    the products G of its rows and their weights W.

    Parameters
    ----------
    weights : list of ndarray, shape (m,)
        W of each class.
    places : list of ndarray of int, shape (m,)
        Where the rows of each class stand in the scores that will be given.
    products : callable
        Returns G (m, m), a new array, for such places.
    n_scores : int
        How many rows the scores will have.
    exact : bool
        Whether to correct for what couples the classes, not only by their mean.
    """

    def __init__(
        self,
        weights: list[np.ndarray],
        places: list[np.ndarray],
        products: Callable[[np.ndarray], np.ndarray],
        n_scores: int,
        exact: bool,
    ):
        self._classes = []
        total = np.zeros((n_scores, n_scores)) if exact else None
        for k, (weight, rows) in enumerate(zip(weights, places, strict=True)):
            if not len(rows):
                continue
            roots, system = np.sqrt(weight), products(rows)
            system *= roots
            system *= roots[:, None]
            ridge = 8 * np.finfo(system.dtype).eps * np.trace(system)  # more than rounding takes
            system.flat[:: len(rows) + 1] += 1 + ridge
            factor = cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
            self._classes.append((k, rows, roots, factor))
            if exact:
                solved = cho_solve(factor, np.diag(roots), check_finite=False)
                total[np.ix_(rows, rows)] += solved * roots[:, None]
        self._total = factor_of(total) if exact else None

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the correction (n_scores, K); over the classes it sums to 0, as w does."""
        found = np.zeros_like(scores)
        for k, rows, roots, factor in self._classes:
            found[rows, k] = roots * cho_solve(factor, roots * scores[rows, k], check_finite=False)
        if self._total is None:
            return found - found.mean(axis=1, keepdims=True)
        shared = cho_solve(self._total, found.sum(axis=1), check_finite=False)
        for k, rows, roots, factor in self._classes:
            found[rows, k] -= roots * cho_solve(factor, roots * shared[rows], check_finite=False)
        return found


def factor_of(matrix: np.ndarray) -> tuple:
    """Return a Cholesky factor of a matrix that is as good as singular, made definite."""
    mean = np.trace(matrix) / len(matrix) + 1e-300
    for ridge in RIDGES:
        matrix.flat[:: len(matrix) + 1] += ridge * mean
        try:
            return cho_factor(matrix, lower=True, check_finite=False)
        except np.linalg.LinAlgError:  # rounding has made it indefinite
            continue
    return cho_factor(mean * np.eye(len(matrix)))
