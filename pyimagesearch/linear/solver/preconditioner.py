"""Nearly the inverse of the Hessian, from the rows that matter to each class."""

from collections.abc import Callable

import numpy as np

from pyimagesearch.linear.solver.logloss import LogLoss
from pyimagesearch.linear.solver.rows import Rows, divided

SAMPLE = 60  # rows of a class: 100 cost more than they save (CALTECH-101)
LEAST_SAMPLE = 10  # however wide a row is
KEPT_BYTES = 128 * 2**20  # of rows of all classes: on CALTECH-101, 48 do as well as 60, not 24
WHOLE = 4  # times as many rows as features give nearly all of a Hessian
MORE = 0.25  # of what a system's products cost, twice as many rows may cost in the next one
BATCH_BYTES = 16 * 2**20  # of rows of some classes


def largest_sample(n_features: int, n_classes: int, itemsize: int) -> int:
    """Return how many rows of each class can be kept."""
    return max(LEAST_SAMPLE, KEPT_BYTES // (itemsize * n_features * n_classes))


def next_sample(sample: int, taken: float, shape: tuple[int, int], itemsize: int) -> int:
    """Return how many rows of each class to take for the next system: the more, the fewer products.

    Those of the last system took `taken` rows, all together; infinitely many, if it was not solved.
    For each class, of d numbers, what is made of m rows takes them m times, or d times if m > d.
    """
    n_classes, d = shape
    more, part = 2 * sample, MORE
    if 2 * more > d:  # from here on it is not the rows that count, but that no direction is missed
        more, part = max(more, WHOLE * d), 1.0
    cheap = more * min(more, d) < part * taken
    return more if cheap and more <= largest_sample(d, n_classes, itemsize) else sample


def draw(sizes: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows for each class by their sizes (k, n), and say how many each of them stands for.

    The largest are drawn surely and stand for themselves. The others are drawn with a probability
    proportional to size, and stand for the inverse of it, so that sums over rows are right on
    average (systematic sampling: Madow, On the theory of systematic sampling, II, 1949). What is
    returned are the indices of at most as many as asked for, ascending, and their counts: (k, m)
    both. A count is 0 at the end of what is drawn for a class, if that is less.
    """
    n = sizes.shape[1]
    light, heavy = np.split(np.partition(sizes, n - most, axis=1), [n - most], axis=1)
    sums = light.sum(axis=1, keepdims=True) + np.cumsum(np.sort(heavy, axis=1), axis=1)  # (k, most)
    limits = sums / np.arange(1, most + 1)  # if all are drawn surely that are larger than a row
    limit = limits.min(axis=1, keepdims=True).clip(np.finfo(sizes.dtype).tiny)  # or all are 0
    probabilities = np.minimum(sizes, limit) / limit  # (k, n)
    at = np.arange(max(1, np.ceil(probabilities.sum(axis=1).max()))) + 0.5  # (m,)
    drawn = np.stack([np.searchsorted(np.cumsum(c, dtype=np.float64), at) for c in probabilities])
    there, drawn = drawn < n, np.minimum(drawn, n - 1)
    counts = there / np.where(there, np.take_along_axis(probabilities, drawn, 1), 1)  # (k, m)
    return drawn, counts


def preconditioner(
    rows: Rows, loss: LogLoss, residuals: np.ndarray, C: float, sample: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: the product of (K, d + 1) with an approximate inverse of the Hessian.

    Of each class, the Hessian is taken to be ``1 + Z^T Z``, where Z are rows drawn by how much they
    weigh, times the square roots of their weights (Xu et al., Sub-sampled Newton methods with
    non-uniform sampling, 2016). Woodbury's identity makes its inverse ``1 - Q^T Q``, where
    ``Q = L^-1 Z`` and ``L L^T = 1 + Z Z^T``: symmetric, so that it stays positive where weights are
    huge, as those of an image in two classes are. Of more rows than features it is ``Q^T Q``,
    where ``Q = L^-1`` and ``L L^T = 1 + Z^T Z``. What the classes have in common, the mean, is
    taken off: it is in the null space of the loss, since scores may be shifted together. It works
    in the precision of the residuals (K, n), with `sample` rows of each class at most.
    """
    dtype, (n, d), n_classes = residuals.dtype, rows.shape, rows.n_classes
    most = min(n, sample, largest_sample(d, n_classes, dtype.itemsize))
    lengths = rows.squared_lengths + 1
    n_parts = max(4 * rows.n_jobs, n_classes * most * d * dtype.itemsize // BATCH_BYTES)
    parts = divided(n_classes, min(n_classes, n_parts))

    def invert(part: slice) -> tuple[np.ndarray, bool]:
        weights = C * loss.curvatures(residuals[part])  # (k, n)
        drawn, counts = draw(weights * lengths, most)
        Z = rows.pick(drawn.ravel(), dtype).reshape(*drawn.shape, d + 1)  # (k, m, d + 1)
        counts *= np.take_along_axis(weights, drawn, 1)
        Z *= np.sqrt(counts, dtype=dtype, casting="same_kind")[:, :, None]
        Zt, whole = Z.transpose(0, 2, 1), Z.shape[1] > d
        A = (Zt @ Z if whole else Z @ Zt).astype(np.float64)  # (k, d + 1, d + 1) or (k, m, m)
        ones = 1 + 8 * np.finfo(dtype).eps * np.trace(A, axis1=1, axis2=2)  # more than rounding
        A += ones[:, None, None] * np.eye(A.shape[1])
        Q = np.linalg.inv(np.linalg.cholesky(A)).astype(dtype)
        return (Q if whole else Q @ Z), whole

    inverses = list(rows.pool.map(invert, parts))

    def apply(v: np.ndarray) -> np.ndarray:
        Pv = np.empty_like(v)

        def of_part(part: slice, inverse: tuple[np.ndarray, bool]) -> None:
            Q, whole = inverse
            inner = Q @ v[part, :, None]  # (k, m, 1)
            product = (inner.transpose(0, 2, 1) @ Q)[:, 0]  # (k, d + 1)
            Pv[part] = product if whole else v[part] - product

        list(rows.pool.map(of_part, parts, inverses))
        Pv[loss.present] -= Pv[loss.present].mean(axis=0)
        return Pv

    return apply
