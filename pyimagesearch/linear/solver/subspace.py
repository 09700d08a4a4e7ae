"""The best combination of points, with the best intercepts: a problem of few variables.

It is an exact search over the span of a few points, mostly the last one and a step. It needs no
pass over the features, since scores are linear in the weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyimagesearch.linear.solver.logloss import LogLoss
from pyimagesearch.linear.solver.rows import Rows

MOST_STEPS = 50  # mostly 2 to 5 are taken
REST = 1e-4  # of the first predicted decrease: with 1e-2, fits take a quarter more steps
MOST_SHIFT = 2.0  # of an intercept in one step: beyond it, the curvature says little
ROUNDING = {np.float32: 1e-6, np.float64: 1e-13}  # relative, of an objective and of a Hessian
FLAT = {np.float32: 1e-4, np.float64: 1e-8}  # slope by intercepts, relative, that counts as 0
TINY = 1e-200  # in place of 0, to divide by


class Point(NamedTuple):
    """The weights that a fit has reached, and the scores that they give the rows."""

    w: np.ndarray  # (K, d + 1), weights; the last of each class is its intercept
    scores: np.ndarray  # (K, n)


class Solution(NamedTuple):
    """A point with the best intercepts, and how near the minimum it is known to be."""

    point: Point
    objective: float  # f, of the rows that are fitted
    residuals: np.ndarray  # (K, n), slopes of the losses by the scores, 0 in rows not fitted
    flat: bool  # whether the intercepts are at their best, so that there is a bound
    gradient: np.ndarray | None = None  # (K, d + 1) float64, of f
    gap: float = np.inf  # proven bound on how far above its minimum f is, as a part of f
    n_iter: int = 0  # Newton steps taken
    elapsed_s: float = 0.0


def dot(u: np.ndarray, v: np.ndarray) -> float:
    """Return the product of weights, without the intercepts."""
    return float(np.einsum("kd,kd->", u[:, :-1], v[:, :-1]))


class Span:
    """The objective on the combinations of m points, with intercepts to add: m + K variables."""

    def __init__(self, rows: Rows, loss: LogLoss, points: Sequence[Point], C: float, dtype: type):
        self.loss, self.points, self.C, self.dtype = loss, points, C, dtype
        self.m, self.n_classes = len(points), len(loss.present)
        self.residuals = np.zeros(points[0].scores.shape, dtype)  # of where it was last expanded
        self.products = np.zeros((self.m + self.n_classes,) * 2)
        self.products[: self.m, : self.m] = [[dot(u.w, v.w) for v in points] for u in points]
        self._rows = rows
        self._blocks = [block for block in rows.score_blocks if loss.used[block].any()]

    def expand(self, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return f, its gradient and Hessian by x, and its relative slope by intercepts."""
        m, C = self.m, self.C
        sums = self._rows.summed(self._blocks, lambda rows: self._expand_block(x, rows))
        loss, slopes, factors, mixed, outer, size = sums
        # Off the diagonal it is -P P^T, and each row sums to 0: a difference would cancel.
        np.fill_diagonal(outer, 0)
        intercepts = np.diag(outer.sum(axis=1)) - outer  # (K, K)
        hessian = C * np.block([[factors, mixed], [mixed.T, intercepts]]) + self.products
        f, gradient = C * loss + x @ self.products @ x / 2, C * slopes + self.products @ x
        return f, gradient, hessian, np.abs(slopes[m:]).max() / max(size, TINY)

    def _expand_block(self, x: np.ndarray, rows: slice) -> tuple:
        parts = [point.scores[:, rows] for point in self.points]
        Z = np.stack(parts, dtype=self.dtype, casting="same_kind")  # (m, K, b)
        factors, shifts = np.split(x.astype(self.dtype), [self.m])
        loss, P = self.loss.residuals(np.tensordot(factors, Z, 1) + shifts[:, None], rows)
        self.residuals[:, rows] = P
        truth = self.loss.labels[rows], np.arange(Z.shape[2])
        divisors = self.loss.divisors[rows].astype(self.dtype)
        Z -= Z[:, *truth][:, None]
        weighted = P * Z
        sums = weighted.sum(axis=1)  # (m, b)
        means = sums / divisors
        slopes = np.append(sums.sum(axis=1), P.sum(axis=1))  # (m + K,)
        size = np.abs(P).sum()
        P[truth] += self.loss.weights[rows]
        hessian = np.einsum("ikn,jkn->ij", weighted, Z) - means @ sums.T  # (m, m)
        mixed = weighted.sum(axis=2) - means @ P.T  # (m, K)
        outer = (P / divisors) @ P.T  # (K, K)
        return loss, *(part.astype(np.float64) for part in (slopes, hessian, mixed, outer, size))

    def at(self, x: np.ndarray) -> Point:
        """Return the point that is combined so."""
        w = sum(map(np.multiply, x, [point.w for point in self.points]))
        w[:, -1] += x[self.m :]
        factors = x.astype(self.dtype)
        scores = sum(map(np.multiply, factors, [point.scores for point in self.points]))  # (K, n)
        scores += factors[self.m :, None]
        return Point(w, scores.astype(self.dtype, copy=False))


def best_combination(
    rows: Rows,
    loss: LogLoss,
    points: Sequence[Point],
    C: float,
    dtype: type,
    last: float = 0.0,
) -> Solution:
    """Minimise f over the coefficients of points and the intercepts, by a damped Newton's method.

    It begins at the first of the points, with a factor for the last.
    """
    span, m, rounding = Span(rows, loss, points, C, dtype), len(points), ROUNDING[dtype]
    first = np.eye(m + span.n_classes)[0]
    x = first + last * np.eye(m + span.n_classes)[m - 1]
    here, least = span.expand(x), None
    if here[1] @ (x - first) > 0:  # f rises at the end of the way there
        x, here = first, span.expand(first)
    for _ in range(MOST_STEPS):
        f, gradient, hessian, slope = here
        lengths = np.sqrt(np.maximum(hessian.diagonal(), TINY))
        scaled = hessian / lengths / lengths[:, None]
        scaled.flat[:: len(scaled) + 1] += rounding  # singular: intercepts may grow alike
        step = -np.linalg.solve(scaled, gradient / lengths) / lengths
        step[m:] -= step[m:].mean()  # where rounding errors would accumulate
        expected = -(gradient @ step)
        if least is None:
            least = max(REST * expected, rounding * f)
        if slope <= FLAT[dtype] and expected <= least:
            break
        step *= min(1.0, MOST_SHIFT / max(np.abs(step[m:]).max(), TINY))
        there = span.expand(x + step)
        while there[0] > f * (1 + rounding) and np.abs(step).max() > rounding:
            step /= 2
            there = span.expand(x + step)
        if there[0] > f * (1 + rounding):
            span.expand(x)  # for the residuals
            break
        x, here = x + step, there
    return Solution(span.at(x), float(here[0]), span.residuals, here[3] <= FLAT[dtype])
