"""Nearly the inverse of the Hessian, from the few rows that matter to each class."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular

from pyimagesearch.linear.rows import Rows

LEAST_PULL = 1e-2  # C p (1 - p) |x|^2 of a row that matters; 1 is what regularisation weighs
KEPT_BYTES = 256 * 2**20  # of rows that are kept for all classes
LEAST_SUPPORT = 10


def preconditioner(
    rows: Rows, wrong: np.ndarray, labels: np.ndarray, C: float, support: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: the product of (d + 1, K) with an approximate inverse of the Hessian.

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
    wrong : ndarray of float32 or float64, shape (n, K)
        Probabilities of wrong classes, in the precision of the result; 0 in rows not fitted.
    labels : ndarray of int, shape (n,)
        The right classes.
    C : float
        Inverse strength of the regularisation.
    support : int
        How many rows to take of each class, at most.
    """
    dtype, (n, d), n_classes = wrong.dtype, rows.shape, rows.n_classes
    row_bytes = dtype.itemsize * d * n_classes
    support = min(n, support, max(LEAST_SUPPORT, KEPT_BYTES // row_bytes))
    doubt, lengths = wrong.sum(axis=1), rows.squared_lengths + 1
    parts = np.array_split(np.arange(n_classes), min(n_classes, 4 * rows.n_jobs))

    def invert(classes: np.ndarray) -> list[tuple[int, np.ndarray]]:
        columns = np.ascontiguousarray(wrong[:, classes].T)
        return [(k, invert_class(k, q)) for k, q in zip(classes, columns, strict=True)]

    def invert_class(k: int, q: np.ndarray) -> np.ndarray:
        q = np.where(labels == k, doubt, q)  # p, or 1 - p where it is the right class
        weights = C * np.maximum(q * (1 - q), 0)  # rounding
        pulls = weights * lengths
        matter = np.argpartition(pulls, -support)[-support:]
        matter = np.sort(matter[pulls[matter] > LEAST_PULL])  # in the order they lie in
        Z = rows.pick(matter, dtype)  # (m, d + 1)
        Z *= np.sqrt(weights[matter])[:, None]
        if len(Z) > d + 1:
            Z = np.linalg.qr(Z, mode="r")  # (d + 1, d + 1), of the same Z^T Z
        A = (Z @ Z.T).astype(np.float64)
        A.flat[:: len(A) + 1] += 1 + 8 * np.finfo(dtype).eps * np.trace(A)  # more than rounding
        return solve_triangular(np.linalg.cholesky(A).astype(dtype), Z, lower=True)

    inverses = list(rows.pool.map(invert, parts))

    def apply(v: np.ndarray) -> np.ndarray:
        columns = np.ascontiguousarray(v.T)
        corrections = np.empty_like(columns)  # (K, d + 1)

        def correct(part: list[tuple[int, np.ndarray]]) -> None:
            for k, Q in part:
                corrections[k] = (Q @ columns[k]) @ Q

        list(rows.pool.map(correct, inverses))
        corrections -= corrections.mean(axis=0)
        return v - corrections.T

    return apply
