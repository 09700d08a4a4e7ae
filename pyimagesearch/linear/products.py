"""The products of all rows with each other: as exact as the fits turn out to need.

Single precision takes half the time and half the memory, and for most
features it is exact enough. Where it is not, at a large C and with features
that are nearly the same for all rows, a fit would not notice by itself: its
scores would be consistent, and wrong. So the scores of some rows are computed
from double precision as well, and if they differ, all products are.
"""

import threading

import numpy as np
from scipy.linalg import blas

BLOCK_BYTES = 16 * 2**20  # copies of the features are made in such pieces
N_SAMPLES = 16  # rows whose products are kept in double precision for comparison
SINGLE_RANGE = (1e-20, 1e30)  # of a sum of squares, far from the ends of single precision


class RowProducts:
    """Products of all rows with each other, less a centre that they share.

    Parameters
    ----------
    features : ndarray of float32 or float64, shape (n, d)
        The rows.
    single : bool
        Whether single precision may do, until a fit shows that it does not.

    Attributes
    ----------
    matrix : ndarray of float32 or float64, shape (n, n), symmetric
        The products.
    centre : ndarray, shape (d,)
        What was taken off each row first: near the mean, so that a mean that
        is larger than all differences does not use up the digits.
    """

    def __init__(self, features: np.ndarray, single: bool):
        self._features = features
        self._lock = threading.Lock()
        n_rows = len(features)
        self.centre = np.full(n_rows, 1 / n_rows, features.dtype) @ features
        if single:
            self._samples = np.unique(np.linspace(0, n_rows - 1, N_SAMPLES).astype(int))
            self._exact = self._sampled_products()
            squares = self._exact[np.arange(len(self._samples)), self._samples]
            least, most = SINGLE_RANGE
            single = bool(least < squares.sum() < most)
        self.matrix = gram_matrix(features, self.centre, np.float32 if single else np.float64)

    @property
    def single(self) -> bool:
        """Whether the products are in single precision."""
        return self.matrix.dtype == np.float32

    def deviation(self, rows: np.ndarray, V: np.ndarray, S: np.ndarray) -> float:
        """Return how far scores are from exact ones, at the largest.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            The rows that were fitted.
        V : ndarray, shape (n, k)
            Coordinates by these rows; each column sums to 0.
        S : ndarray, shape (n, k)
            Their scores, but for a constant in each column.
        """
        _, sampled, places = np.intersect1d(self._samples, rows, return_indices=True)
        deviations = self._exact[np.ix_(sampled, rows)] @ V - S[places]
        return float(np.abs(deviations - deviations.mean(axis=0)).max(initial=0.0))

    def make_double(self) -> None:
        """Compute all products in double precision, if that has not been done."""
        with self._lock:
            if self.single:
                self.matrix = gram_matrix(self._features, self.centre, np.float64)

    def _sampled_products(self) -> np.ndarray:
        products = np.zeros((len(self._samples), len(self._features)))
        step = max(1, BLOCK_BYTES // (8 * len(self._features)))
        for start in range(0, self._features.shape[1], step):
            slab = self._features[:, start : start + step].astype(np.float64)
            slab -= self.centre[start : start + step]
            products += slab[self._samples] @ slab.T
        return products


def gram_matrix(features: np.ndarray, centre: np.ndarray, dtype: type) -> np.ndarray:
    """Return the products of all rows with each other.

    Parameters
    ----------
    features : ndarray of float32 or float64, shape (n, d)
        The rows.
    centre : ndarray, shape (d,)
        What is taken off each row.
    dtype : type
        The precision: ``np.float32`` or ``np.float64``.

    Returns
    -------
    ndarray of `dtype`, shape (n, n), symmetric
    """
    n_rows, n_features = features.shape
    rank_update = blas.ssyrk if dtype == np.float32 else blas.dsyrk
    gram = np.zeros((n_rows, n_rows), dtype, order="F")
    step = max(1, BLOCK_BYTES // (gram.itemsize * n_rows))
    for start in range(0, n_features, step):
        slab = features[:, start : start + step].astype(dtype)
        slab -= centre[start : start + step].astype(dtype)
        # Only the lower triangle: half the work of a general product.
        gram = rank_update(1.0, slab.T, beta=1.0, c=gram, trans=1, lower=1, overwrite_c=1)
    for start in range(0, n_rows, 1024):  # the upper triangle is the lower one's mirror
        stop = min(start + 1024, n_rows)
        gram[start:stop, stop:] = gram[stop:, start:stop].T
        square = gram[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T
    return gram.T  # the same, with rows together
