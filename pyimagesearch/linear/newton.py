"""Logistic regression for one C after another, each solution with a proven bound.

The objective ``f(w, b) = C * sum of log losses + |w|^2 / 2`` is minimised by Newton's method. The
intercepts b are minimised exactly before each step; what is left bends by at least 1 in every
direction of w, so that f is at most ``|gradient|^2 / 2`` above its minimum. That bound, in double
precision, is the only thing that ends a fit. Each Newton system is solved by conjugate gradients
(Nocedal and Wright, Numerical Optimization, 2006, chapter 7), in single precision while that is
enough and only as exactly as the step deserves, with a preconditioner that knows the rows that
matter to each class. The next point is the best combination of the last one and the step: where the
classes can be separated, mostly the length of w has to grow. Along C, a fit begins at the best
combination of the last solutions, for w is nearly linear in log C; a large first C is come to by
way of smaller ones. Folds are fitted at once and share the passes over the rows: see
`pyimagesearch.linear.rows`; with fewer rows than features they work in row space: see
`pyimagesearch.linear.rowspace`.
"""

import time
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pyimagesearch.linear.logloss import curvature_product, log_loss, residuals
from pyimagesearch.linear.preconditioner import preconditioner
from pyimagesearch.linear.rows import Pass, Rows

MAX_ITER = 100  # Newton steps; real features take some 5 at the first C and 1 or 2 at a later one
EASY_C = 100.0  # with rows of length 1: from 0, Newton's steps go astray far above it
ROUGH = 1.0  # the gap that is enough on the way to a larger C
NEAR = 0.1  # from this gap on a system is solved for the bound, before that only to make way
SUPPORT = 60  # rows that matter to a class: 100 cost more than they save (CALTECH-101)
MAX_PRODUCTS = 60  # of one system: more of them do less than a better preconditioner
LEAST_FALL = 0.02  # of the model's fall so far: when a product adds less, it is time to move
PATIENCE = 5  # steps without a gain before a fit is given up: rounding has the better of it
FLAT = 1e-8  # the slope by the intercepts, as a part of what it is the sum of, that counts as 0
BEST = 1e-2  # of the tolerance: what a better combination of points could still gain
KEPT = 3  # solutions that a fit begins from
ROUNDING = 1e-13  # relative, of an objective
LEAST_STEP = 1e-9


class Point(NamedTuple):
    """Weights (d + 1, K), the last of them the intercepts, and the scores (n, K) of all rows."""

    w: np.ndarray
    scores: np.ndarray


class Solution(NamedTuple):
    """A minimum, as near as it was come to."""

    point: Point
    objective: float  # f
    gap: float  # proven bound on how far above its minimum f is, as a part of f
    n_iter: int  # Newton steps taken
    elapsed_s: float  # since the fit was begun


def dot(u: np.ndarray, v: np.ndarray) -> float:
    """Return the product of weights, without the intercepts."""
    return float(np.vdot(u[:-1], v[:-1]))


class SolutionPath:
    """Solutions for ascending C's of one set of rows.

    Its methods are generators that `pyimagesearch.linear.rows.together` runs.

    Parameters
    ----------
    rows : Rows
        All rows.
    labels : ndarray of int, shape (n,)
        Their class indices.
    used : ndarray of bool, shape (n,)
        Which of them are fitted.
    max_iter : int
        The most Newton steps of a fit.
    begin : sequence of ndarray, shape (d + 1, K)
        Weights to begin from, in place of 0.
    """

    def __init__(
        self,
        rows: Rows,
        labels: np.ndarray,
        used: np.ndarray,
        max_iter: int = MAX_ITER,
        begin: Sequence[np.ndarray] = (),
    ):
        self._rows, self._labels, self._used = rows, labels, used
        self._max_iter, self._weights, self._last = max_iter, list(begin), []
        self._support, self._dtype = SUPPORT, np.float32

    def solve(self, C: float, tolerance: float) -> Generator[Pass, Any, Solution]:
        """Minimise at `C`, from the solutions for the C's before, until the gap is small."""
        started, n_iter = time.perf_counter(), 0
        while self._weights:
            w = self._weights.pop(0)
            self._last.append(Point(w, (yield from self._scores(w))))
        if not self._last:
            (n, d), n_classes = self._rows.shape, self._rows.n_classes
            self._last = [Point(np.zeros((d + 1, n_classes)), np.zeros((n, n_classes)))]
            n_tens = max(0, int(np.ceil(np.log10(C / EASY_C))))
            for easier in C / 10.0 ** np.arange(n_tens, 0, -1):
                begin = yield from self._begin(easier, ROUGH)
                rough = yield from self._minimise(begin, easier, ROUGH, started, n_iter)
                n_iter = rough.n_iter
        begin = yield from self._begin(C, tolerance)
        return (yield from self._minimise(begin, C, tolerance, started, n_iter))

    def bound(self, C: float, w: np.ndarray) -> Generator[Pass, Any, Solution]:
        """Bound how far given weights are from the minimum at `C`, with the best intercepts."""
        self._last, self._max_iter = [Point(w, (yield from self._scores(w)))], 0
        return (yield from self._minimise(self._last[0], C, 0.0, time.perf_counter(), 0))

    def _scores(self, w: np.ndarray) -> Generator[Pass, Any, np.ndarray]:
        """Return the scores of all rows, those that are not fitted too: (n, K)."""
        found = np.empty((len(self._labels), w.shape[1]))

        def keep(rows: slice, scores: np.ndarray) -> None:
            found[rows] = scores

        yield Pass(keep, np.ones_like(self._used), w)
        return found

    def _minimise(self, point, C, tolerance, started, n_iter) -> Generator[Pass, Any, Solution]:
        value, flat = yield from self._best_intercepts(point)
        f = C * value + dot(point.w, point.w) / 2
        least, before, stalled = np.inf, (np.inf, np.inf), 0
        while True:
            gradient, wrong = yield from self._gradient(point, C)
            bound = dot(gradient, gradient) / 2 if flat else np.inf
            gap = bound / f if f > 0 else 0.0
            stalled, least = 0 if gap < 0.9 * least else stalled + 1, min(gap, least)
            if gap <= tolerance or stalled > PATIENCE or n_iter >= self._max_iter:
                break
            if bound > before[0] / 2 and f > 0.99 * before[1]:
                self._work_harder()
            before = bound, f
            goal = max(0.4 * tolerance * f, (0.05 if bound < NEAR * f else 0.1) * bound)
            step = yield from self._newton_step(gradient, wrong, C, goal, bound <= NEAR * f)
            points = [point, Point(step, (yield from self._scores(step)))]
            moved = yield from self._best_combination(points, C, np.ones(2), BEST * tolerance)
            value, flat_there = yield from self._best_intercepts(moved)
            new = C * value + dot(moved.w, moved.w) / 2
            n_iter += 1
            if new > f * (1 + ROUNDING):
                break
            point, f, flat = moved, new, flat_there
        self._last = [*self._last[-(KEPT - 1) :], point] if self._last[-1].w.any() else [point]
        return Solution(point, float(f), float(gap), n_iter, time.perf_counter() - started)

    def _begin(self, C: float, tolerance: float) -> Generator[Pass, Any, Point]:
        """Return the best combination of the last solutions."""
        *older, newest = self._last
        steps = [Point(newest.w - p.w, newest.scores - p.scores) for p in reversed(older)]
        points, first = [newest, *steps], np.eye(1 + len(steps))[0]
        return (yield from self._best_combination(points, C, first, BEST * tolerance))

    def _best_combination(self, points, C, factors, tolerance) -> Generator[Pass, Any, Point]:
        """Combine points by Newton's method, from given factors or from the first point alone."""
        products = np.array([[dot(u.w, v.w) for v in points] for u in points])

        def expand(factors: np.ndarray) -> Generator[Pass, Any, tuple]:
            def task(rows: slice, _) -> tuple:
                labels, Z = self._labels[rows], np.stack([p.scores[rows] for p in points])
                loss, wrong = log_loss(np.tensordot(factors, Z, 1), labels, self._used[rows])
                Z -= Z[:, np.arange(len(labels)), labels, None]  # (m, b, K)
                weighted = wrong * Z
                means = weighted.sum(axis=2)  # (m, b)
                curvature = np.einsum("abk,cbk->ac", weighted, Z, optimize=True)
                return loss, means.sum(axis=1), curvature - means @ means.T

            loss, slope, curvature = yield Pass(task, self._used)
            f = C * loss + factors @ products @ factors / 2
            return f, C * slope + products @ factors, C * curvature + products

        first = np.eye(len(points))[0]
        f, slope, hessian = yield from expand(factors)
        if slope @ (factors - first) > 0:  # f rises at the end of the way there
            there = yield from expand(first)
            if there[0] < f:
                factors, (f, slope, hessian) = first, there
        for _ in range(30):
            step = -np.linalg.lstsq(hessian, slope, rcond=1e-12)[0]
            if -(slope @ step) < tolerance * f:
                break
            t, there = 1.0, (yield from expand(factors + step))
            while there[0] > f and t > LEAST_STEP:
                t /= 2
                there = yield from expand(factors + t * step)
            if there[0] > f:
                break
            factors, (f, slope, hessian) = factors + t * step, there
        return Point(*(sum(map(np.multiply, factors, part)) for part in zip(*points, strict=True)))

    def _best_intercepts(self, point: Point) -> Generator[Pass, Any, tuple[float, bool]]:
        """Minimise over a point's intercepts, in place; return the loss, and if its slope is 0."""
        n_classes = point.w.shape[1]

        def expand(rows: slice, _) -> tuple:
            labels, used = self._labels[rows], self._used[rows]
            loss, P = log_loss(point.scores[rows], labels, used)
            right = P.sum(axis=1)
            slope = P.sum(axis=0) - np.bincount(labels, right, n_classes)
            P[np.arange(len(P)), labels] = (1 - right) * used
            return loss, slope, P.T @ P, 2 * right.sum()

        def shift(by: np.ndarray) -> None:
            point.w[-1] += by
            point.scores[:] += by

        loss, slope, outer, size = yield Pass(expand, self._used)
        for _ in range(50):
            if np.abs(slope).max() <= FLAT * size:
                break
            # Off the diagonal it is -P^T P, and each row sums to 0: a difference would cancel.
            hessian = -outer
            np.fill_diagonal(hessian, 0)
            np.fill_diagonal(hessian, -hessian.sum(axis=1))
            trace = np.trace(hessian)
            hessian += trace / n_classes**2  # flat where all intercepts grow alike
            hessian.flat[:: n_classes + 1] += 1e-12 * trace + 1e-300
            step = -np.linalg.solve(hessian, slope)
            step *= min(1.0, 2 / np.abs(step).max())
            before = loss
            shift(step)
            loss, slope, outer, size = yield Pass(expand, self._used)
            while loss > before * (1 + ROUNDING) and np.abs(step).max() > LEAST_STEP:
                step /= 2
                shift(-step)
                loss, slope, outer, size = yield Pass(expand, self._used)
        return loss, bool(np.abs(slope).max() <= FLAT * size)

    def _gradient(self, point: Point, C: float) -> Generator[Pass, Any, tuple]:
        """Return the gradient of f, (d + 1, K), and the probabilities of the wrong classes."""
        # Where no row is used, no block is asked.
        wrong = np.zeros(point.scores.shape, self._dtype)

        def task(rows: slice, _) -> np.ndarray:
            labels = self._labels[rows]
            P = log_loss(point.scores[rows], labels, self._used[rows])[1]
            wrong[rows] = P
            return residuals(P, labels)

        gradient = C * (yield Pass(task, self._used, transposed=True))
        gradient[:-1] += point.w[:-1]
        return gradient, wrong

    def _newton_step(self, gradient, wrong, C, goal, near) -> Generator[Pass, Any, np.ndarray]:
        """Solve Newton's system until half the square of what is left is below a goal.

        Where that is not near, a solution is good enough as soon as the model hardly falls.
        """
        dtype = self._dtype
        wrong = wrong.astype(dtype, copy=False)
        precondition = preconditioner(self._rows, self._labels, self._used, wrong, C, self._support)

        def task(rows: slice, scores: np.ndarray) -> np.ndarray:
            return dtype(C) * curvature_product(wrong[rows], self._labels[rows], scores)

        rest = -gradient.astype(dtype)
        step, smoothed, rest_of_smoothed = np.zeros_like(rest), np.zeros_like(rest), rest.copy()
        fallen, old, enough = 0.0, 0.0, False
        for i in range(MAX_PRODUCTS):
            better = precondition(rest)
            new = float(np.vdot(rest, better))
            if not new > 0:  # rounding has the better of it
                break
            direction = better + dtype(new / old) * direction if i else better  # noqa: F821
            old = new
            image = direction + (yield Pass(task, self._used, direction, True, dtype)).astype(dtype)
            curvature = float(np.vdot(image, direction))
            if not curvature > 0:
                break
            length = dtype(new / curvature)
            step += length * direction
            rest -= length * image
            # The way with the least residual: that of conjugate gradients itself rises on the way
            # (Zhou and Walker, Residual smoothing techniques for iterative methods, 1994).
            change = rest - rest_of_smoothed
            t = -np.vdot(rest_of_smoothed, change) / max(np.vdot(change, change), 1e-30)
            smoothed += dtype(t) * (step - smoothed)
            rest_of_smoothed += dtype(t) * change
            fall = float(length) * new / 2
            fallen += fall
            solved = float(np.vdot(rest_of_smoothed, rest_of_smoothed)) / 2 < goal
            enough = solved or (not near and i and fall < LEAST_FALL * fallen)
            if enough:
                break
        if not enough:
            self._work_harder()
        return (smoothed if near else step).astype(np.float64)

    def _work_harder(self) -> None:
        """Let more rows matter, in double precision."""
        self._support, self._dtype = 2 * self._support, np.float64
