"""Two ways to hold the same linear model: by its rows, or by its features.

The weights w of an L2-regularised linear model that was fitted to the centred
rows X (n, d) are a combination of these rows, ``w = X^T a`` (the representer
theorem: Kimeldorf and Wahba, "Some results on Tchebycheffian spline
functions", 1971). With fewer rows than features the n numbers of `a` are the
better coordinates: all that is needed of X then are the products of its rows
with each other, ``G = X X^T`` (n, n), and nothing is approximated. Otherwise
the coordinates are w itself.

Both classes give the solver the same five things. V stands for coordinates,
a column per column of scores.
"""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from scipy.linalg import blas, cho_factor, cho_solve

BLOCK_BYTES = 64 * 2**20  # float64 copies of the features are made in such pieces
ROUNDING = 1e-15  # of the sum of a matrix's eigenvalues

Pair = tuple[np.ndarray, np.ndarray]


def gram_matrix(features: np.ndarray) -> np.ndarray:
    """Return the products of all rows with each other, in double precision.

    The product of two float32 numbers is exact in float64. Sums in float32
    would not do: G squares the condition of X, and at a large C the small
    directions count.

    Parameters
    ----------
    features : ndarray of float32 or float64, shape (n, d)
        The rows.

    Returns
    -------
    ndarray of float64, shape (n, n), symmetric
    """
    n_rows, n_features = features.shape
    gram = np.zeros((n_rows, n_rows), order="F")
    step = max(1, BLOCK_BYTES // (8 * n_rows))
    for start in range(0, n_features, step):
        slab = np.asarray(features[:, start : start + step].T, np.float64, order="F")
        # Only the lower triangle: half the work of a general product.
        gram = blas.dsyrk(1.0, slab, beta=1.0, c=gram, trans=1, lower=1, overwrite_c=1)
    for start in range(0, n_rows, 1024):  # the upper triangle is the lower one's mirror
        stop = min(start + 1024, n_rows)
        gram[start:stop, stop:] = gram[stop:, start:stop].T
        square = gram[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T
    return gram


class RowSpace:
    """Coordinates by rows, for fewer rows than features.

    Parameters
    ----------
    features : ndarray, shape (m, d)
        All rows there are.
    gram : ndarray of float64, shape (m, m)
        Their products.
    rows : ndarray of int, shape (n,)
        Those that the model is fitted to.
    """

    def __init__(self, features: np.ndarray, gram: np.ndarray, rows: np.ndarray):
        self._features, self._gram, self._rows = features, gram, rows
        self.n_coordinates = len(rows)
        centred = gram[np.ix_(rows, rows)]
        self._row_means = centred.mean(axis=0)
        centred -= self._row_means
        centred -= self._row_means[:, None]
        centred += self._row_means.mean()
        self._centred = centred

    def scores(self, V: np.ndarray) -> np.ndarray:
        """Return X w: (n, k)."""
        return np.ascontiguousarray((V.T @ self._centred).T)  # symmetric; faster for few columns

    def rough_scores(self, V: np.ndarray) -> np.ndarray:
        """Return X w in single precision: (n, k), float64."""
        rough = V.T.astype(np.float32) @ self._rough
        return np.ascontiguousarray(rough.T, np.float64)

    @cached_property
    def _rough(self) -> np.ndarray:
        return self._centred.astype(np.float32)

    def combine(self, residuals: np.ndarray) -> np.ndarray:
        """Return the coordinates of X^T residuals.

        A constant has no effect on w, as the rows are centred. Left in, it
        could grow without bound, and rounding would make it count.
        """
        return residuals - residuals.mean(axis=0)

    def dot(self, U: np.ndarray, V: np.ndarray, scores_of_V: np.ndarray) -> float:
        """Return the inner product of two w's."""
        return float(np.vdot(U, scores_of_V))

    def preconditioner(self, weights: np.ndarray) -> Callable[[np.ndarray, np.ndarray], Pair]:
        """Prepare to multiply by (I + X^T diag(weights) X)^-1, and its scores.

        By Woodbury's identity that needs a Cholesky factor of n x n only
        (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
        2006, section 3.4.3).
        """
        least = max(1e-10 * weights.max(), np.finfo(np.float64).tiny)  # all may be 0
        root = np.sqrt(np.maximum(weights, least))[:, None]
        matrix = self._centred * root
        matrix *= root.T
        # What is rounded off must not make it indefinite.
        matrix.flat[:: len(matrix) + 1] += 1 + ROUNDING * np.trace(matrix)
        factor = _factor(matrix)

        def apply(V: np.ndarray, scores_of_V: np.ndarray) -> Pair:
            solved = cho_solve(factor, root * scores_of_V, check_finite=False)
            V = V - root * solved
            return V - V.mean(axis=0), solved / root

        return apply

    def decide(self, rows: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Return the scores of other rows of the same features: (len(rows), k)."""
        V = V - V.mean(axis=0)  # what centring the fitted rows does to w
        return self._gram[np.ix_(rows, self._rows)] @ V - self._row_means @ V

    def model(self, V: np.ndarray) -> Pair:
        """Return w (k, d) and what centring adds to the intercept (k,)."""
        V = V - V.mean(axis=0)
        step = max(1, BLOCK_BYTES // (8 * self._features.shape[1]))
        w = np.zeros((V.shape[1], self._features.shape[1]))
        for start in range(0, len(V), step):
            block = self._features[self._rows[start : start + step]].astype(np.float64, copy=False)
            w += V[start : start + step].T @ block
        return w, -(self._row_means @ V)


class FeatureSpace:
    """Coordinates by features, for at least as many rows as features.

    Parameters
    ----------
    features : ndarray, shape (m, d)
        All rows there are.
    rows : ndarray of int, shape (n,)
        Those that the model is fitted to.
    """

    def __init__(self, features: np.ndarray, rows: np.ndarray):
        self._features = features
        self.n_coordinates = features.shape[1]
        centred = features[rows].astype(np.float64)
        self._mean = centred.mean(axis=0)
        centred -= self._mean
        self._centred = centred

    def scores(self, V: np.ndarray) -> np.ndarray:
        """Return X w: (n, k)."""
        return self._centred @ V

    def rough_scores(self, V: np.ndarray) -> np.ndarray:
        """Return X w: (n, k); a copy in single precision is not worth its memory."""
        return self.scores(V)

    def combine(self, residuals: np.ndarray) -> np.ndarray:
        """Return the coordinates of X^T residuals."""
        return self._centred.T @ residuals

    def dot(self, U: np.ndarray, V: np.ndarray, scores_of_V: np.ndarray) -> float:
        """Return the inner product of two w's."""
        return float(np.vdot(U, V))

    def preconditioner(self, weights: np.ndarray) -> Callable[[np.ndarray, np.ndarray], Pair]:
        """Prepare to multiply by (I + X^T diag(weights) X)^-1, and its scores."""
        matrix = np.eye(self.n_coordinates)
        for block in _blocks(len(self._centred), 8 * self.n_coordinates):
            matrix += self._centred[block].T @ (self._centred[block] * weights[block, None])
        factor = _factor(matrix)

        def apply(V: np.ndarray, scores_of_V: np.ndarray) -> Pair:
            solved = cho_solve(factor, V, check_finite=False)
            return solved, self.scores(solved)

        return apply

    def decide(self, rows: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Return the scores of other rows of the same features: (len(rows), k)."""
        scores = [self._features[rows[block]] @ V for block in _blocks(len(rows), 8 * len(V))]
        return np.concatenate(scores) - self._mean @ V

    def model(self, V: np.ndarray) -> Pair:
        """Return w (k, d) and what centring adds to the intercept (k,)."""
        return V.T.copy(), -(self._mean @ V)


def _factor(symmetric: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return a Cholesky factor in the place of a matrix."""
    # LAPACK wants columns together: the transpose is the same matrix, and no copy.
    return cho_factor(symmetric.T, lower=True, overwrite_a=True, check_finite=False)


def _blocks(n_rows: int, row_bytes: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // row_bytes)
    return (slice(start, start + step) for start in range(0, n_rows, step))
