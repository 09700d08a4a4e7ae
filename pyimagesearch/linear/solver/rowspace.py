"""Rows of many features as rows of as many numbers as there are rows, with the same products.

The minimum of an L2-regularised objective is a combination of the rows, so it depends on their
products alone: with a Cholesky factor L of the matrix of products, ``L L^T = X X^T``, the rows of L
can stand for those of X. Nothing is approximated, and a fit works on (n, n) instead of (n, d).
"""

import numpy as np
from threadpoolctl import threadpool_limits

from pyimagesearch.linear.solver.rows import Rows
from pyimagesearch.utils.memory import available_bytes

PASSES = 150  # of a search, all folds side by side; real features take 60 to 200
LEAST_COLUMNS = 30  # fewer side by side cost as much: then reading the features takes the time
SLAB_BYTES = 32 * 2**20  # of columns in double precision that are multiplied at a time
RIDGES = [10.0**k for k in range(-2, 8)]  # of n eps, which bounds what rounding takes off


def row_space_is_cheaper(n_rows: int, n_features: int, n_columns: int) -> bool:
    """Return whether products of all rows, and fits in their terms, cost less than the features.

    The products cost n^2 d / 2 multiplications in double precision, so n^2 d in single precision;
    a pass costs n^2 for each column in row space, and 2 n d by features.
    """
    there = available_bytes()
    if n_rows >= n_features or (there is not None and there < 8 * n_rows**2):
        return False
    passes = PASSES * max(n_columns, LEAST_COLUMNS)
    return n_rows * (n_features + passes) < 2 * n_features * passes  # both divided by n


def in_row_space(rows: Rows, order: np.ndarray) -> Rows:
    """Return rows in another order, in the coordinates of their space: (n, n), a lower triangle."""
    with threadpool_limits(rows.n_jobs):
        G = products(rows, order)
        G += 1  # one more feature, which the intercepts make useless; centred rows are singular
        ridge = cholesky(G)
    return Rows(G, rows.n_classes, rows.pool, rows.n_jobs, lower=True, ridge=ridge)


def products(rows: Rows, order: np.ndarray) -> np.ndarray:
    """Return the products of all rows with each other, centred and scaled: (n, n) float64."""
    from scipy.linalg import blas

    n, d = rows.shape
    G, step = np.zeros((n, n)), max(1, SLAB_BYTES // (8 * n))
    for start in range(0, d, step):
        columns = slice(start, start + step)
        slab = np.subtract(rows.X[:, columns], rows.centre[columns], dtype=np.float64)[order]
        # Adds to the lower triangle in place; BLAS goes by columns, so it is given transposes.
        blas.dsyrk(rows.scale**2, slab.T, 1.0, G.T, trans=1, lower=0, overwrite_c=1)
    for i in range(n):
        G[i, i + 1 :] = G[i + 1 :, i]
    return G


def cholesky(G: np.ndarray) -> float:
    """Factor products in place: leave a lower triangle L, ``L L^T = G + ridge``; return the ridge.

    The ridge covers what rounding has done to G, which is singular where rows are equal; there is
    more of it if that was not enough. The upper half is what to begin again from.
    """
    from scipy.linalg import lapack

    n, diagonal = len(G), G.diagonal().copy()
    for part in RIDGES:
        ridge = part * n * np.finfo(np.float64).eps
        np.fill_diagonal(G, diagonal + ridge)
        _, info = lapack.dpotrf(G.T, lower=0, clean=0, overwrite_a=1)  # G.T: LAPACK goes by columns
        if info == 0:
            break
        for i in range(n):
            G[i + 1 :, i] = G[i, i + 1 :]
    else:
        raise np.linalg.LinAlgError("these are not the products of rows")
    for i in range(n):
        G[i, i + 1 :] = 0
    return ridge


def to_feature_weights(w: np.ndarray, space: Rows, rows: Rows, order: np.ndarray) -> np.ndarray:
    """Return weights by features, (K, d + 1), for those in row space, (K, n + 1)."""
    from scipy.linalg import solve_triangular

    a = np.empty_like(w[:, :-1])
    a[:, order] = solve_triangular(space.X, w[:, :-1].T, lower=True, trans=1, check_finite=False).T

    every = np.ones((1, len(order)), bool)
    (found,) = rows.weighted_sums(lambda _, block, __: a[:, block], every, np.float64)
    found[:, -1] = w[:, -1] + a.sum(axis=1)
    return found
