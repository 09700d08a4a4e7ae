"""Two ways to hold the same linear model: by its rows, or by its features.

The weights w of an L2-regularised linear model that was fitted to the centred
rows X (n, d) are a combination of these rows, ``w = X^T a`` (the representer
theorem: Kimeldorf and Wahba, "Some results on Tchebycheffian spline
functions", 1971). With fewer rows than features the n numbers of `a` are the
better coordinates: all that is needed of X then are the products of its rows
with each other, ``G = X X^T`` (n, n), and nothing is approximated. Otherwise
the coordinates are w itself.

Small problems are rotated first, to the principal axes of their rows: these
are at most as many as there are rows or features, scale by themselves, and
make a problem that elimination solves to the last digits.

Both spaces give the solver the same things. V stands for coordinates, a
column per column of scores.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import cho_factor, cho_solve, svd

from pyimagesearch.linear.products import BLOCK_BYTES, RowProducts

ROUNDING = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-15}  # of a sum of eigenvalues
# Scores are log odds. An error of 1e-4 in one changes the gradient by a part
# of 1e-4, and the objective by the square of that.
EXACT_SCORES = 1e-4

Pair = tuple[np.ndarray, np.ndarray]


class RowSpace:
    """Coordinates by rows, for fewer rows than features.

    Parameters
    ----------
    features : ndarray, shape (m, d)
        All rows there are.
    products : RowProducts
        Their products.
    rows : ndarray of int, shape (n,)
        Those that the model is fitted to.
    """

    def __init__(self, features: np.ndarray, products: RowProducts, rows: np.ndarray):
        self._features, self._products, self._rows = features, products, rows
        self.n_coordinates = len(rows)
        self._centre()

    def _centre(self) -> None:
        centred = self._products.matrix[np.ix_(self._rows, self._rows)]
        self._row_means = centred.mean(axis=0, dtype=np.float64)
        shift = (self._row_means - self._row_means.mean() / 2).astype(centred.dtype)
        centred -= shift
        centred -= shift[:, None]
        self._centred = centred

    def scores(self, V: np.ndarray) -> np.ndarray:
        """Return X w, in the precision of the products: (n, k)."""
        # Symmetric, and faster this way for few columns.
        return np.ascontiguousarray((V.T.astype(self._centred.dtype) @ self._centred).T)

    def squared_rows(self) -> np.ndarray:
        """Return the squared lengths of the rows of X: (n,)."""
        return np.diag(self._centred)

    def sharpen(self, V: np.ndarray, scores: np.ndarray) -> bool:
        """Go over to double precision if single has falsified scores; tell if it did."""
        if self._centred.dtype == np.float64:
            return False
        if self._products.deviation(self._rows, V, scores) <= EXACT_SCORES:
            return False
        del self._centred
        self._products.make_double()
        self._centre()
        return True

    def combine(self, residuals: np.ndarray) -> np.ndarray:
        """Return the coordinates of X^T residuals.

        A constant has no effect on w, as the rows are centred. Left in, it
        could grow without bound, and rounding would make it count.
        """
        return residuals - residuals.mean(axis=0)

    def dots(self, U: np.ndarray, V: np.ndarray, scores_of_V: np.ndarray) -> np.ndarray:
        """Return the inner products of two w's, column by column: (k,)."""
        return np.einsum("ij,ij->j", U, scores_of_V)

    def preconditioner(self, weights: np.ndarray) -> Callable[[np.ndarray, np.ndarray], Pair]:
        """Prepare to multiply by (I + X^T diag(weights) X)^-1, and its scores.

        By Woodbury's identity that needs a Cholesky factor of n x n only
        (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
        2006, section 3.4.3).
        """
        dtype = self._centred.dtype
        least = max(1e-10 * weights.max(), np.finfo(dtype).tiny)  # all may be 0
        root = np.sqrt(np.maximum(weights, least)).astype(dtype)[:, None]
        matrix = self._centred * root
        matrix *= root.T
        # What is rounded off must not make it indefinite.
        matrix.flat[:: len(matrix) + 1] += 1 + ROUNDING[dtype] * np.trace(matrix)
        factor = _factor(matrix)

        def apply(V: np.ndarray, scores_of_V: np.ndarray) -> Pair:
            solved = cho_solve(factor, root * scores_of_V, check_finite=False)
            V = V - root * solved
            return V - V.mean(axis=0), solved / root

        return apply

    def decide(self, rows: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Return the scores of other rows of the same features: (len(rows), k)."""
        matrix = self._products.matrix
        spread = np.zeros((len(matrix), V.shape[1]), matrix.dtype)  # copying whole rows is faster
        spread[self._rows] = V - V.mean(axis=0)  # what centring the fitted rows does to w
        blocks = _blocks(len(rows), matrix.itemsize * len(matrix))
        scores = np.concatenate([matrix[rows[block]] @ spread for block in blocks])
        return scores - self._row_means @ spread[self._rows]

    def model(self, V: np.ndarray) -> Pair:
        """Return w (k, d) and what centring adds to the intercept (k,)."""
        V = V - V.mean(axis=0)
        dtype, centre = self._centred.dtype, self._products.centre
        w = np.zeros((V.shape[1], self._features.shape[1]))
        for block in _blocks(len(V), dtype.itemsize * w.shape[1]):
            X = self._features[self._rows[block]].astype(dtype, copy=False) - centre.astype(dtype)
            w += V[block].T.astype(dtype) @ X
        return w, -(self._row_means @ V + w @ centre)


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

    def rows(self) -> np.ndarray:
        """Return X, the centred rows: (n, n_coordinates)."""
        return self._centred

    def scores(self, V: np.ndarray) -> np.ndarray:
        """Return X w: (n, k)."""
        return self._centred @ V

    def squared_rows(self) -> np.ndarray:
        """Return the squared lengths of the rows of X: (n,)."""
        return np.einsum("ij,ij->i", self._centred, self._centred)

    def sharpen(self, V: np.ndarray, scores: np.ndarray) -> bool:
        """Return False: the precision is double anyway."""
        return False

    def combine(self, residuals: np.ndarray) -> np.ndarray:
        """Return the coordinates of X^T residuals."""
        return self._centred.T @ residuals

    def dots(self, U: np.ndarray, V: np.ndarray, scores_of_V: np.ndarray) -> np.ndarray:
        """Return the inner products of two w's, column by column: (k,)."""
        return np.einsum("ij,ij->j", U, V)

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


class Rotation:
    """Rows along the principal axes of what they span, as many as these are.

    Nothing is lost: axes in which no row differs from another need no weight.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        The rows.

    Attributes
    ----------
    rows : ndarray of float64, shape (n, r)
        The rows along the r <= min(n, d) axes, from their mean.
    """

    def __init__(self, features: np.ndarray):
        self._mean = features.mean(axis=0, dtype=np.float64)
        left, lengths, axes = svd(features - self._mean, full_matrices=False)
        rank = max(1, np.count_nonzero(lengths > ROUNDING[lengths.dtype] * lengths[0]))
        self.rows, self._axes = left[:, :rank] * lengths[:rank], axes[:rank]

    def model(self, w: np.ndarray) -> Pair:
        """Return weights (k, d) for the features, and what is added to the intercept (k,)."""
        w = w @ self._axes
        return w, -(w @ self._mean)


def _factor(symmetric: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return a Cholesky factor in the place of a matrix."""
    # LAPACK wants columns together: the transpose is the same matrix, and no copy.
    return cho_factor(symmetric.T, lower=True, overwrite_a=True, check_finite=False)


def _blocks(n_rows: int, row_bytes: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // row_bytes)
    return (slice(start, start + step) for start in range(0, n_rows, step))
