"""The best combination of points, with the best intercepts: a problem of few variables.

It is an exact search over the span of a few points, mostly the last one and a step. It needs no
pass over the features, since scores are linear in the weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyimagesearch.linear.logloss import log_loss
from pyimagesearch.linear.rows import Rows

MAX_ITER = 50
BEST = 1e-2  # of the tolerance: what a better combination of points could still gain
MOST_SHIFT = 2.0  # of an intercept in one step: beyond it, the curvature says little
LEAST_STEP = 1e-9
REST = 1e-2  # of the first predicted decrease may be left, even if it is little of f
ROUNDING = {np.float32: 1e-6, np.float64: 1e-13}  # relative, of an objective and of a Hessian
LEVEL = {np.float32: 1e-4, np.float64: 1e-8}  # slope by intercepts, relative, that counts as 0
TINY = 1e-200  # in place of 0, to divide by


class Point(NamedTuple):
    """Weights (K, d + 1), the last of them the intercepts, and the scores of rows (K, n)."""

    w: np.ndarray
    scores: np.ndarray


class View(NamedTuple):
    """What of the rows a fit looks at, and how closely."""

    used: np.ndarray  # (n,) bool
    dtype: type  # of scores and probabilities


class Solution(NamedTuple):
    """A point with the best intercepts, and how near the minimum it is known to be."""

    point: Point
    objective: float  # f, of the rows that are used
    residuals: np.ndarray  # (K, n), probabilities less truth, 0 in rows not used
    gap: float = np.inf  # proven bound on how far above its minimum f is, as a part of f
    n_iter: int = 0  # Newton steps taken
    elapsed_s: float = 0.0


def dot(u: np.ndarray, v: np.ndarray) -> float:
    """Return the product of weights, without the intercepts."""
    return float(np.einsum("kd,kd->", u[:, :-1], v[:, :-1]))


def best_combination(
    rows: Rows,
    labels: np.ndarray,
    points: Sequence[Point],
    C: float,
    view: View,
    tolerance: float,
    last: float = 0.0,
    fixed: bool = False,
) -> Solution:
    """Minimise f over the coefficients of points and the intercepts, by a damped Newton's method.

    It begins at the first of the points, with a factor for the last. Of f, a part may be left to
    gain; less where there is little to gain at first. A fixed point keeps its weights, but for the
    intercepts.
    """
    m, n_classes = len(points), len(points[0].w)
    used, dtype = view.used, view.dtype
    residuals = np.zeros(points[0].scores.shape, dtype)
    products = np.zeros((m + n_classes, m + n_classes))
    products[:m, :m] = [[dot(u.w, v.w) for v in points] for u in points]
    blocks = [block for block in rows.score_blocks if used[block].any()]

    def expand(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return f, its gradient and its Hessian by factors and intercepts, and the level."""

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
            slopes = np.append(means.sum(axis=1), P.sum(axis=1))
            size = np.abs(P).sum()
            P[truth] += used[block]
            factors = np.einsum("ikn,jkn->ij", weighted, Z) - means @ means.T
            mixed = weighted.sum(axis=2) - means @ P.T  # (m, K)
            sums = slopes, factors, mixed, P @ P.T, size
            return loss, *(part.astype(np.float64) for part in sums)

        loss, slopes, factors, mixed, outer, size = rows.summed(blocks, of_block)
        # Off the diagonal it is -P^T P, and each row sums to 0: a difference would cancel.
        np.fill_diagonal(outer, 0)
        intercepts = np.diag(outer.sum(axis=1)) - outer
        hessian = C * np.block([[factors, mixed], [mixed.T, intercepts]]) + products
        f, gradient = C * loss + x @ products @ x / 2, C * slopes + products @ x
        return f, gradient, hessian, np.abs(slopes[m:]).max() / max(size, TINY)

    first = np.eye(m + n_classes)[0]
    x = first + last * np.eye(m + n_classes)[m - 1]
    here = expand(x)
    if here[1] @ (x - first) > 0:  # f rises at the end of the way there
        there = expand(first)
        x, here = (first, there) if there[0] < here[0] else (x, expand(x))
    free, least = slice(m if fixed else 0, None), None
    for _ in range(MAX_ITER):
        f, gradient, hessian, tilt = here
        lengths = np.sqrt(np.maximum(hessian.diagonal(), TINY))[free]
        scaled = hessian[free, free] / lengths / lengths[:, None]
        scaled.flat[:: len(scaled) + 1] += ROUNDING[dtype]  # singular: intercepts may grow alike
        step = np.zeros_like(x)
        step[free] = -np.linalg.solve(scaled, gradient[free] / lengths) / lengths
        step[m:] -= step[m:].mean()  # where rounding would go astray
        expected = -(gradient @ step)
        if least is None:
            least = max(min(BEST * tolerance * f, REST * expected), ROUNDING[dtype] * f)
        if tilt <= LEVEL[dtype] and (fixed or expected <= least):
            break
        step *= min(1.0, MOST_SHIFT / max(np.abs(step[m:]).max(), TINY))
        there = expand(x + step)
        while there[0] > f * (1 + ROUNDING[dtype]) and np.abs(step).max() > LEAST_STEP:
            step /= 2
            there = expand(x + step)
        if there[0] > f * (1 + ROUNDING[dtype]):
            expand(x)  # for the probabilities
            break
        x, here = x + step, there
    w = sum(map(np.multiply, x, [point.w for point in points]))
    w[:, -1] += x[m:]
    scores = np.empty_like(residuals)

    def combine(part: list[slice]) -> None:
        for block in part:
            parts = (point.scores[:, block] for point in points)
            scores[:, block] = sum(map(np.multiply, x, parts)) + x[m:, None]

    rows.in_parts(rows.score_blocks, combine)
    return Solution(Point(w, scores), float(here[0]), residuals)
