"""Nearly the inverse of the Hessian, from the rows that matter to each class."""

from collections.abc import Callable

import numpy as np

from pyimagesearch.linear.rows import Rows, divided

SUPPORT = 60  # rows that matter to a class: 100 cost more than they save (CALTECH-101)
LEAST_SUPPORT = 10
KEPT_BYTES = 256 * 2**20  # of rows that are kept for all classes
WHOLE = 4  # times as many rows as features tell nearly all of a Hessian
MORE = 0.25  # of what a system's products cost, twice as many rows may cost in the next one;
MORE_BYTES = 64 * 2**20  # and what is kept of them
FEWER = 16.0  # times what its products cost is too much; fewer are soon too few
LEAST_PULL = 1e-2  # C p (1 - p) |x|^2, to be drawn surely; 1 is what regularisation weighs
BATCH_BYTES = 16 * 2**20  # of rows of some classes


def most_support(n_rows: int, n_features: int, n_classes: int, support: int, itemsize: int) -> int:
    """Return how many rows are taken of each class at most: fewer where they would not be kept."""
    row_bytes = itemsize * n_features * n_classes
    return min(n_rows, support, max(LEAST_SUPPORT, KEPT_BYTES // row_bytes))


def cost(support: int, d: int) -> int:
    """Return what it costs to prepare so many rows, in numbers of rows that a product takes.

    Of d numbers of a class, a product takes each row once; what is made of m rows takes them m
    times, or d times if m > d.
    """
    return support * min(support, d)


def next_support(support: int, taken: int, shape: tuple[int, int], itemsize: int) -> int:
    """Return how many rows of each class to take for the next system.

    The more there are, the fewer products the system takes.

    Parameters
    ----------
    support : int
        How many there were in the last one.
    taken : int
        What its products cost: the rows they took, all together.
    shape : tuple of int
        K and d.
    itemsize : int
        Bytes of a number.
    """
    n_classes, d = shape
    more, part = 2 * support, MORE
    if 2 * more > d:  # from here on it is not the rows that count, but that no direction is missed
        more, part = max(more, WHOLE * d), 1.0
    kept_bytes = min(more, d) * d * n_classes * itemsize
    if cost(more, d) < part * taken and kept_bytes <= MORE_BYTES:
        return more
    too_dear = cost(support, d) > FEWER * taken
    return max(SUPPORT, support // 2) if too_dear else support


def draw(pulls: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows for each class by how much they pull, and say how many each of them stands for.

    Those that pull most are drawn surely and stand for themselves. The others are drawn with a
    chance in proportion to their pull, and stand for the inverse of it, so that sums over rows are
    right on average (systematic sampling: Madow, On the theory of systematic sampling, II,
    1949).

    Parameters
    ----------
    pulls : ndarray, shape (k, n)
        Not negative.
    most : int
        How many to draw at most.

    Returns
    -------
    drawn : ndarray of int, shape (k, m)
        Indices, ascending.
    times : ndarray, shape (k, m)
        How many rows each stands for; 0 at the end of what is drawn for a class, if that is less.
    """
    n = pulls.shape[1]
    light, heavy = np.split(np.partition(pulls, n - most, axis=1), [n - most], axis=1)
    sums = light.sum(axis=1, keepdims=True) + np.cumsum(np.sort(heavy, axis=1), axis=1)  # (k, most)
    limits = sums / np.arange(1, most + 1)  # if all are drawn surely that pull more than a row
    limit = np.maximum(limits.min(axis=1, keepdims=True), LEAST_PULL)  # where it sums to `most`
    chances = np.minimum(pulls / limit, 1)  # (k, n)
    at = np.arange(max(1, np.ceil(chances.sum(axis=1).max()))) + 0.5  # (m,)
    drawn = np.stack([np.searchsorted(np.cumsum(c, dtype=np.float64), at) for c in chances])
    there, drawn = drawn < n, np.minimum(drawn, n - 1)
    times = there / np.where(there, np.take_along_axis(chances, drawn, 1), 1)  # (k, m)
    return drawn, times


def preconditioner(
    rows: Rows, residuals: np.ndarray, C: float, support: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: the product of (K, d + 1) with an approximate inverse of the Hessian.

    Of each class, the Hessian is taken to be ``1 + Z^T Z``, where Z are rows drawn by how much they
    weigh, times the square roots of their weights (Xu et al., Sub-sampled Newton methods with
    non-uniform sampling, 2016). Woodbury's identity makes its inverse ``1 - Q^T Q``, where
    ``Q = L^-1 Z`` and ``L L^T = 1 + Z Z^T``: symmetric, so that it stays positive where weights are
    huge, as those of a picture in two classes are. Of more rows than features it is ``Q^T Q``,
    where ``Q = L^-1`` and ``L L^T = 1 + Z^T Z``. What the classes have in common, the mean, is
    taken off: it is in the null space of the loss, since scores may be shifted together.

    Parameters
    ----------
    rows : Rows
        Of the fit.
    residuals : ndarray of float32 or float64, shape (K, n)
        In the precision of the result; 0 in rows not fitted.
    C : float
        Inverse strength of the regularisation.
    support : int
        How many rows to draw for each class, at most.
    """
    dtype, (n, d), n_classes = residuals.dtype, rows.shape, rows.n_classes
    most = most_support(n, d, n_classes, support, dtype.itemsize)
    lengths = rows.squared_lengths + 1
    n_parts = max(4 * rows.n_jobs, n_classes * most * d * dtype.itemsize // BATCH_BYTES)
    parts = divided(n_classes, min(n_classes, n_parts))

    def invert(part: slice) -> tuple[np.ndarray, bool]:
        q = np.abs(residuals[part])  # (k, n): p, or 1 - p of the right class
        weights = C * np.maximum(q * (1 - q), 0)  # rounding
        drawn, times = draw(weights * lengths, most)
        Z = rows.pick(drawn.ravel(), dtype).reshape(*drawn.shape, d + 1)  # (k, m, d + 1)
        times *= np.take_along_axis(weights, drawn, 1)
        Z *= np.sqrt(times, dtype=dtype, casting="same_kind")[:, :, None]
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
        return Pv - Pv.mean(axis=0)

    return apply
