"""Nearly the inverse of the Hessian, from the few rows that matter to each class."""

from collections.abc import Callable

import numpy as np

from pyimagesearch.linear.rows import Rows

LEAST_PULL = 1e-2  # C p (1 - p) |x|^2 of a row that matters; 1 is what regularisation weighs
MOST_PULL = 1e3  # in single precision: above it, what the inverse leaves is less than rounding
KEPT_BYTES = 256 * 2**20  # of rows that are kept for all classes
LEAST_SUPPORT = 10


def preconditioner(rows: Rows, W: np.ndarray, support: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: the product of (d + 1, K) with an approximate inverse of the Hessian.

    Of each class, the Hessian is taken to be ``1 + X^T W X`` with the rows X that weigh most, and
    inverted by Woodbury's identity: ``1 - X^T A X``, ``A = sqrt(W) (1 + sqrt(W) X X^T sqrt(W))^-1
    sqrt(W)``; with more rows than features, as it is. What the classes have in common, the mean of
    these corrections, is taken off: the Hessian does not know it, since scores may be shifted
    together.

    Parameters
    ----------
    rows : Rows
        Of the fit.
    W : ndarray of float32 or float64, shape (n, K)
        C p (1 - p), in the precision of the result; 0 in rows that are not fitted.
    support : int
        How many rows to take of each class, at most.
    """
    dtype, (n, d), n_classes = W.dtype, rows.shape, rows.n_classes
    row_bytes = dtype.itemsize * d * n_classes
    support = min(n, support, max(LEAST_SUPPORT, KEPT_BYTES // row_bytes))
    W = np.ascontiguousarray(W.T)  # (n, K) -> (K, n)
    lengths = rows.squared_lengths + 1
    most = MOST_PULL if dtype == np.float32 else np.inf
    parts = np.array_split(np.arange(n_classes), min(n_classes, 4 * rows.n_jobs))

    def invert(classes: np.ndarray) -> list[tuple]:
        return [(k, *invert_class(W[k])) for k in classes]

    def invert_class(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pulls = w * lengths
        matter = np.argpartition(-pulls, support - 1)[:support]
        matter = np.sort(matter[pulls[matter] > LEAST_PULL])  # in the order they lie in
        X = rows.pick(matter, dtype)  # (m, d + 1)
        roots = np.sqrt(np.minimum(w[matter], most / lengths[matter]))
        if len(matter) > d:  # the products of these rows are singular, and would round too much
            Z, one = (roots[:, None] * X).astype(np.float64), np.eye(d + 1)
            return one.astype(dtype), (one - np.linalg.inv(one + Z.T @ Z)).astype(dtype)
        A = (X @ X.T).astype(np.float64) * roots * roots[:, None]
        A.flat[:: len(A) + 1] += 1 + 8 * np.finfo(dtype).eps * np.trace(A)  # more than rounding
        return X, (np.linalg.inv(A) * roots * roots[:, None]).astype(dtype)

    inverses = list(rows.pool.map(invert, parts))

    def apply(v: np.ndarray) -> np.ndarray:
        columns = np.ascontiguousarray(v.T)
        corrections = np.empty_like(columns)  # (K, d + 1)

        def correct(part: list[tuple]) -> None:
            for k, X, A in part:
                corrections[k] = (A @ (X @ columns[k])) @ X

        list(rows.pool.map(correct, inverses))
        corrections -= corrections.mean(axis=0)
        return v - corrections.T

    return apply
