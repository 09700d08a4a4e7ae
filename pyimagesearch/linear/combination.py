"""The best combination of points, with the best intercepts: a problem of few variables.

It is an exact search over the span of a few points, mostly the last one and a step. It needs no
pass over the features, since scores are linear in the weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyimagesearch.linear.logloss import log_loss
from pyimagesearch.linear.rows import Rows

MOST_STEPS = 50  # mostly 2 to 5 are taken
REST = 1e-4  # of the first predicted decrease: with 1e-2, fits take a quarter more steps
MOST_SHIFT = 2.0  # of an intercept in one step: beyond it, the curvature says little
ROUNDING = {np.float32: 1e-6, np.float64: 1e-13}  # relative, of an objective and of a Hessian
FLAT = {np.float32: 1e-4, np.float64: 1e-8}  # slope by intercepts, relative, that counts as 0
TINY = 1e-200  # in place of 0, to divide by


class Point(NamedTuple):
    """Where a fit is, and what the rows say of it."""

    w: np.ndarray  # (K, d + 1), weights; the last of each class is its intercept
    scores: np.ndarray  # (K, n)


class Solution(NamedTuple):
    """A point with the best intercepts, and how near the minimum it is known to be."""

    point: Point
    objective: float  # f, of the rows that are fitted
    residuals: np.ndarray  # (K, n), probabilities less truth, 0 in rows not fitted
    gradient: np.ndarray | None = None  # (K, d + 1) float64, of f
    gap: float = np.inf  # proven bound on how far above its minimum f is, as a part of f
    n_iter: int = 0  # Newton steps taken
    elapsed_s: float = 0.0


def dot(u: np.ndarray, v: np.ndarray) -> float:
    """Return the product of weights, without the intercepts."""
    return float(np.einsum("kd,kd->", u[:, :-1], v[:, :-1]))


def best_combination(
    rows: Rows,
    labels: np.ndarray,
    used: np.ndarray,
    points: Sequence[Point],
    C: float,
    dtype: type,
    last: float = 0.0,
) -> Solution:
    """Minimise f over the coefficients of points and the intercepts, by a damped Newton's method.

    It begins at the first of the points, with a factor for the last.
    """
    m, n_classes = len(points), len(points[0].w)
    residuals = np.zeros(points[0].scores.shape, dtype)
    products = np.zeros((m + n_classes, m + n_classes))
    products[:m, :m] = [[dot(u.w, v.w) for v in points] for u in points]
    blocks = [block for block in rows.score_blocks if used[block].any()]

    def expand(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return f, its gradient and Hessian by x, and its relative slope by intercepts."""

        def of_block(block: slice) -> tuple:
            parts = [point.scores[:, block] for point in points]
            Z = np.stack(parts, dtype=dtype, casting="same_kind")  # (m, K, b)
            truth = labels[block], np.arange(Z.shape[2])
            scores = np.tensordot(x[:m].astype(dtype), Z, 1) + x[m:, None].astype(dtype)
            loss, P = log_loss(scores, truth[0], used[block])
            residuals[:, block] = P
            Z -= Z[:, *truth][:, None]
            weighted = P * Z
            means = weighted.sum(axis=1)  # (m, b)
            slopes = np.append(means.sum(axis=1), P.sum(axis=1))  # (m + K,)
            size = np.abs(P).sum()
            P[truth] += used[block]
            factors = np.einsum("ikn,jkn->ij", weighted, Z) - means @ means.T  # (m, m)
            mixed = weighted.sum(axis=2) - means @ P.T  # (m, K)
            sums = slopes, factors, mixed, P @ P.T, size
            return loss, *(part.astype(np.float64) for part in sums)

        loss, slopes, factors, mixed, outer, size = rows.summed(blocks, of_block)
        # Off the diagonal it is -P P^T, and each row sums to 0: a difference would cancel.
        np.fill_diagonal(outer, 0)
        intercepts = np.diag(outer.sum(axis=1)) - outer  # (K, K)
        hessian = C * np.block([[factors, mixed], [mixed.T, intercepts]]) + products
        f, gradient = C * loss + x @ products @ x / 2, C * slopes + products @ x
        return f, gradient, hessian, np.abs(slopes[m:]).max() / max(size, TINY)

    first = np.eye(m + n_classes)[0]
    x = first + last * np.eye(m + n_classes)[m - 1]
    here, least = expand(x), None
    if here[1] @ (x - first) > 0:  # f rises at the end of the way there
        x, here = first, expand(first)
    for _ in range(MOST_STEPS):
        f, gradient, hessian, slope = here
        lengths = np.sqrt(np.maximum(hessian.diagonal(), TINY))
        scaled = hessian / lengths / lengths[:, None]
        scaled.flat[:: len(scaled) + 1] += ROUNDING[dtype]  # singular: intercepts may grow alike
        step = -np.linalg.solve(scaled, gradient / lengths) / lengths
        step[m:] -= step[m:].mean()  # where rounding would go astray
        expected = -(gradient @ step)
        if least is None:
            least = max(REST * expected, ROUNDING[dtype] * f)
        if slope <= FLAT[dtype] and expected <= least:
            break
        step *= min(1.0, MOST_SHIFT / max(np.abs(step[m:]).max(), TINY))
        there = expand(x + step)
        while there[0] > f * (1 + ROUNDING[dtype]) and np.abs(step).max() > ROUNDING[dtype]:
            step /= 2
            there = expand(x + step)
        if there[0] > f * (1 + ROUNDING[dtype]):
            expand(x)  # for the residuals
            break
        x, here = x + step, there
    w = sum(map(np.multiply, x, [point.w for point in points]))
    w[:, -1] += x[m:]
    factors = x.astype(dtype)
    scores = sum(map(np.multiply, factors, [point.scores for point in points]))  # (K, n)
    scores += factors[m:, None]
    return Solution(Point(w, scores.astype(dtype, copy=False)), float(here[0]), residuals)
