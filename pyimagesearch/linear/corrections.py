"""What the loss adds to the inverse Hessian of |w|^2 / 2, from the few rows that matter."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from pyimagesearch.linear.logloss import Curvature

SUPPORT = 200  # rows that matter to a class: 400 saved no more than they cost (CALTECH-101)
RIDGES = (1e-14, 1e-12, 1e-9, 1e-6)  # of a mean diagonal


def supports(curvature: Curvature, squares: np.ndarray, size: int) -> np.ndarray:
    """Return the rows that matter most to each class: indices, (K, size).

    Parameters
    ----------
    curvature : Curvature
        Of the loss.
    squares : ndarray, shape (n,)
        Squared lengths of the rows.
    size : int
        How many to take of each class.
    """
    pull = curvature.diagonal() * squares[:, None]
    return np.argpartition(-pull, size - 1, axis=0)[:size].T


class Corrections:
    """``1 - P^-1``, with the Hessian P of the loss of some rows, in terms of their scores.

    By Woodbury's identity it is ``sqrt(W) (1 + sqrt(W) G sqrt(W))^-1 sqrt(W)`` for a class, with
    the products G of its rows and their weights W.

    Parameters
    ----------
    curvature : Curvature
        Of the loss of all rows.
    rows : ndarray of int, shape (K, m)
        The rows of each class, as indices into those of the curvature.
    places : ndarray of int, shape (K, m)
        The same, as indices into the scores that will be given.
    n_scores : int
        How many rows those scores have.
    products : ndarray, shape (K, m, m)
        The products of each class's rows with each other.
    exact : bool
        Whether to correct for what couples the classes, not only by their mean.
    """

    def __init__(self, curvature, rows, places, n_scores, products, exact):
        self._places, self._classes = places, np.arange(len(rows))[:, None]
        weights = curvature.diagonal(complete=exact)[rows, self._classes].astype(np.float64)
        roots = np.sqrt(weights)[:, :, None]  # (K, m, 1)
        system = products * roots
        system *= roots.transpose(0, 2, 1)
        m = system.shape[1]
        ridge = 8 * np.finfo(products.dtype).eps * np.trace(system, axis1=1, axis2=2)
        system[:, np.arange(m), np.arange(m)] += 1 + ridge[:, None]
        # By way of a factor, so that no rounding can make it indefinite.
        factors = np.linalg.inv(np.linalg.cholesky(system.astype(np.float64)))
        factors *= roots.transpose(0, 2, 1)
        inverses = factors.transpose(0, 2, 1) @ factors
        self._inverses = inverses.astype(products.dtype)
        self._total = None
        if exact:
            total = np.zeros((n_scores, n_scores))
            for place, inverse in zip(places, inverses, strict=True):
                total[np.ix_(place, place)] += inverse
            self._total = factor_of(total)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the correction (n_scores, K); over the classes it sums to 0, as w does."""
        found = self._of_classes(scores)
        if self._total is None:
            return found - found.mean(axis=1, keepdims=True)
        shared = cho_solve(self._total, found.sum(axis=1), check_finite=False)
        return found - self._of_classes(np.broadcast_to(shared[:, None], scores.shape))

    def _of_classes(self, scores: np.ndarray) -> np.ndarray:
        found = np.zeros(scores.shape, self._inverses.dtype)
        picked = scores[self._places, self._classes][:, :, None].astype(found.dtype)  # (K, m, 1)
        found[self._places, self._classes] = (self._inverses @ picked)[:, :, 0]
        return found


def factor_of(matrix: np.ndarray) -> tuple:
    """Return a Cholesky factor of a matrix that is as good as singular, made definite."""
    least = np.trace(matrix) / len(matrix) + 1e-300
    for ridge in RIDGES:
        try:
            return cho_factor(matrix + ridge * least * np.eye(len(matrix)), lower=True)
        except np.linalg.LinAlgError:  # rounding has made it indefinite
            continue
    return cho_factor(least * np.eye(len(matrix)))
