"""Nearly the inverse of the Hessian, from the few rows that matter to each class."""

from collections.abc import Callable

import numpy as np

from pyimagesearch.linear.rows import Rows, divided

LEAST_PULL = 1e-2  # C p (1 - p) |x|^2 of a row that matters; 1 is what regularisation weighs
KEPT_BYTES = 256 * 2**20  # of rows that are kept for all classes
LEAST_SUPPORT = 10


def most_support(n_rows: int, n_features: int, n_classes: int, support: int, itemsize: int) -> int:
    """Return how many rows are taken of each class at most: fewer where they would not be kept."""
    row_bytes = itemsize * n_features * n_classes
    return min(n_rows, support, max(LEAST_SUPPORT, KEPT_BYTES // row_bytes))


def preconditioner(
    rows: Rows, wrong: np.ndarray, labels: np.ndarray, C: float, support: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: the product of (K, d + 1) with an approximate inverse of the Hessian.

    Of each class, the Hessian is taken to be ``1 + Z^T Z``, where Z are the rows that weigh most,
    times the square roots of their weights. Woodbury's identity makes its inverse ``1 - Q^T Q``,
    where ``Q = L^-1 Z`` and ``L L^T = 1 + Z Z^T``: symmetric, so that it stays positive where
    weights are huge, as those of a picture in two classes are. What the classes have in common, the
    mean of these corrections, is taken off: the Hessian does not know it, since scores may be
    shifted together.

    Parameters
    ----------
    rows : Rows
        Of the fit.
    wrong : ndarray of float32 or float64, shape (K, n)
        Probabilities of wrong classes, in the precision of the result; 0 in rows not fitted.
    labels : ndarray of int, shape (n,)
        The right classes.
    C : float
        Inverse strength of the regularisation.
    support : int
        How many rows to take of each class, at most.
    """
    dtype, (n, d), n_classes = wrong.dtype, rows.shape, rows.n_classes
    most = most_support(n, d, n_classes, support, dtype.itemsize)
    doubt, lengths = wrong.sum(axis=0), rows.squared_lengths + 1
    parts = divided(n_classes, min(n_classes, 4 * rows.n_jobs))

    def invert(part: slice) -> np.ndarray:
        q = wrong[part].copy()  # (k, n): p, or 1 - p of the right class
        right = np.flatnonzero((labels >= part.start) & (labels < part.stop))
        q[labels[right] - part.start, right] = doubt[right]
        weights = C * np.maximum(q * (1 - q), 0)  # rounding
        pulls = weights * lengths
        m = min(most, max(1, np.count_nonzero(pulls > LEAST_PULL, axis=1).max()))
        matter = np.sort(np.argpartition(pulls, n - m)[:, n - m :])  # in the order they lie in
        Z = rows.pick(matter.ravel(), dtype).reshape(*matter.shape, d + 1)  # (k, m, d + 1)
        Z *= np.sqrt(np.take_along_axis(weights, matter, 1))[:, :, None].astype(dtype)
        if m > d + 1:
            Z = np.linalg.qr(Z, mode="r")  # (k, d + 1, d + 1), of the same Z^T Z
        A = (Z @ Z.transpose(0, 2, 1)).astype(np.float64)
        ones = 1 + 8 * np.finfo(dtype).eps * np.trace(A, axis1=1, axis2=2)  # more than rounding
        A += ones[:, None, None] * np.eye(A.shape[1])
        return np.linalg.inv(np.linalg.cholesky(A)).astype(dtype) @ Z

    inverses = list(rows.pool.map(invert, parts))

    def apply(v: np.ndarray) -> np.ndarray:
        corrections = np.empty_like(v)

        def correct(part: slice, Q: np.ndarray) -> None:
            inner = Q @ v[part, :, None]  # (k, m, 1)
            corrections[part] = (inner.transpose(0, 2, 1) @ Q)[:, 0]

        list(rows.pool.map(correct, parts, inverses))
        return v - (corrections - corrections.mean(axis=0))

    return apply
