"""Logistic regression for one C after another, each solution with a proven bound.

The objective ``f(w, b) = C * sum of log losses + |w|^2 / 2`` is minimised by Newton's method. The
intercepts b are minimised exactly before each step; what is left is strongly convex in w, with
modulus 1, so that f is at most ``|gradient|^2 / 2`` above its minimum (the duality gap). That
bound, of all rows and in double precision, is the only thing that ends a fit; before it, single
precision will do. Each Newton system is solved by conjugate gradients (Nocedal and Wright,
Numerical Optimization, 2006, chapter 7), only as accurately as the step needs and without the rows
whose part of the Hessian is negligible, preconditioned by a sub-sampled Hessian of each class; the
sample grows while that is cheaper than more products. The next point is the best combination of the
last one and the step: where the classes can be separated, mostly the length of w has to grow. Along
C, a fit begins at the best combination of the last solutions, for w is nearly linear in log C; a
large first C is reached from smaller ones. Of very many rows of still more features, which few rows
tell apart, a fit works on those few and adds the rows that violate the bound most (chunking: Osuna,
Freund and Girosi, An improved training algorithm for support vector machines, 1997). Folds are
fitted at once and share the passes over the rows: see `pyimagesearch.linear.rows`; with fewer rows
than features they work in row space: see `pyimagesearch.linear.rowspace`.
"""

import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import numpy as np

from pyimagesearch.linear.combination import (
    LEVEL,
    ROUNDING,
    TINY,
    Point,
    Solution,
    View,
    best_combination,
    dot,
)
from pyimagesearch.linear.logloss import curvature_product, doubt
from pyimagesearch.linear.preconditioner import SUPPORT, next_support, preconditioner
from pyimagesearch.linear.rows import Pass, Rows

MAX_ITER = 100  # Newton steps; real features take some 5 at the first C and 1 or 2 at a later one
EASY_C = 100.0  # with rows of length 1: from 0, Newton's steps go astray far above it
LARGE_C = 1e30  # from here on, products with it overflow in single precision
ROUGH = 1.0  # the gap at which a large C is left for the next larger one
LEFT = 0.1  # of a gap a step may leave: below it, the quadratic model is what is wrong
WELL = 1e-3  # where the preconditioner is nearly exact, and steps cost more than products
ENOUGH = 0.4  # of the tolerance: a step need not leave less
NEAR = 0.1  # from this gap on a system is solved for the bound, before that only to make way,
FAR = 1e-3  # which is a fall by at least this part of f
MAX_PRODUCTS = 60  # of one system; with 40 or 100, real features take as long
LEAST_FALL = 0.02  # of the model's fall so far: when a product adds less, the step is taken
PATIENCE = 12  # steps without a gap smaller by a tenth: from then on rounding dominates
BETTER = 0.1  # of what a step would leave, after each of these
KEPT = 3  # solutions that a fit begins from
LIGHT = 0.1  # of the Hessian may be left out, where regularisation weighs 1
WHOLE, PART = 0.9, 0.5  # of the tolerance that is aimed at before all rows are asked
MISSED = 0.29  # of the gradient that proves it may be of other rows: PART**0.5 + MISSED < 1
FIRST_ROWS = 1000, 20  # to work on at first: so many, or so many of each class
MANY = 8  # times as many rows, and features, are reason to work on a part of the rows
MOST = 0.6  # of the rows: from there on, choosing them costs more than it saves


def heaviest(weights: np.ndarray, limit: float) -> np.ndarray:
    """Return which rows to keep so that the weights of the others sum to a limit at most."""
    ascending = np.append(np.sort(weights), np.inf)
    return weights >= ascending[np.searchsorted(np.cumsum(ascending), limit, side="right")]


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
    begin : sequence of ndarray, shape (K, d + 1)
        Weights to begin from, in place of 0.
    working : ndarray of bool, shape (n,), optional
        Which rows to work on at first.

    Attributes
    ----------
    support : int
        How many rows the preconditioner takes of each class, at most.
    """

    def __init__(
        self,
        rows: Rows,
        labels: np.ndarray,
        used: np.ndarray,
        max_iter: int = MAX_ITER,
        begin: Sequence[np.ndarray] = (),
        working: np.ndarray | None = None,
    ):
        self._rows, self._labels, self._used = rows, labels, used
        self._max_iter, self._weights, self._last = max_iter, list(begin), []
        self.working = self._first_rows() if working is None else working
        self._exact = View(used, np.float64)
        self._combine = partial(best_combination, rows, labels)
        self._n_iter, self.support = 0, SUPPORT

    def _rough(self, C: float) -> View:
        return View(self.working, self._rows.single if C < LARGE_C else np.float64)

    def solve(self, C: float, tolerance: float) -> Generator[Pass, Any, Solution]:
        """Minimise at `C`, from the solutions for the C's before, until the gap is small."""
        started = time.perf_counter()
        self._n_iter = 0
        *older, newest = self._last or (yield from self._begin(C))
        points = [newest, *(Point(newest.w - p.w, newest.scores - p.scores) for p in older)]
        view, best, least = self._rough(C), None, 0.0  # what the minimum cannot be below
        while True:
            part = np.count_nonzero(view.used) < np.count_nonzero(self._used)
            goal = (PART if part else WHOLE) * tolerance
            near = yield from self._descend(points, C, goal, view)
            found = yield from self.bound(C, near.point.w, tolerance, fixed=False)
            least = max(least, found.objective * (1 - found.gap))
            best = min(best or found, found, key=lambda solution: solution.objective)
            gap = 1 - least / max(best.objective, TINY)
            if gap <= tolerance or view is self._exact or self._n_iter >= self._max_iter:
                break
            if part:
                self._add_rows(found, C, tolerance)
            points, view = [best.point], self._rough(C) if part else self._exact
        self._last = [*self._last[1 - KEPT :], best.point]
        elapsed_s = time.perf_counter() - started
        return best._replace(gap=gap, n_iter=self._n_iter, elapsed_s=elapsed_s)

    def bound(
        self, C: float, w: np.ndarray, tolerance: float = 0.0, fixed: bool = True
    ) -> Generator[Pass, Any, Solution]:
        """Bound how far given weights are from the minimum at `C`, with the best intercepts.

        If they are not fixed, their length may change, too.
        """
        started = time.perf_counter()
        point = Point(w, (yield Pass(np.ones_like(self._used), V=w)))
        here = self._combine([point], C, self._exact, tolerance, fixed=fixed)
        found, _ = yield from self._judge(here, C, self._exact)
        return found._replace(elapsed_s=time.perf_counter() - started)

    def _begin(self, C: float) -> Generator[Pass, Any, list[Point]]:
        """Return what to begin from: weights that were given, or a solution for an easier C."""
        if self._weights:
            scores = yield Pass(np.ones_like(self._used), V=np.vstack(self._weights))
            self._last = list(map(Point, self._weights, np.split(scores, len(self._weights))))
            return self._last
        (n, d), n_classes = self._rows.shape, self._rows.n_classes
        point = Point(np.zeros((n_classes, d + 1)), np.zeros((n_classes, n)))
        for tens in range(max(0, int(np.ceil(np.log10(C / EASY_C)))), 0, -1):
            near = yield from self._descend([point], C / 10.0**tens, ROUGH, self._rough(C))
            point = near.point
        return [point]

    def _first_rows(self) -> np.ndarray:
        """Return which rows to work on at first: all, or of many some of each class."""
        there = np.flatnonzero(self._used)
        there = there[np.argsort(self._labels[there], kind="stable")]
        least, of_class = FIRST_ROWS
        n_first = max(least, of_class * self._rows.n_classes)
        if min(len(there), self._rows.shape[1]) < MANY * n_first:
            return self._used
        working = np.zeros_like(self._used)
        working[there[:: len(there) // n_first]] = True
        working[there[np.unique(self._labels[there], return_index=True)[1]]] = True
        return working

    def _add_rows(self, found: Solution, C: float, tolerance: float) -> None:
        """Work on the other rows that pull most at what was found, on twice as many rows at most.

        Work on all if no others pull, or if it would be most of them. A row pulls by the length of
        its term of the gradient.
        """
        squares = np.einsum("kn,kn->n", found.residuals, found.residuals)
        pulls = np.where(self.working, 0.0, C * np.sqrt(squares * self._rows.squared_lengths))
        longest = np.sqrt(2 * tolerance * found.objective)  # gradient that proves the tolerance
        missing = heaviest(pulls, MISSED * longest)
        size = np.count_nonzero(self.working)
        missing &= pulls >= np.partition(pulls, -size)[-size]
        most = min(MOST * np.count_nonzero(self._used), self._rows.shape[1])
        few = 0 < np.count_nonzero(missing) < most - size
        self.working = self.working | missing if few else self._used

    def _descend(
        self, points: Sequence[Point], C: float, tolerance: float, view: View
    ) -> Generator[Pass, Any, Solution]:
        """Take Newton steps from the best combination of points."""
        here = self._combine(points, C, view, tolerance)
        least, stalled = np.inf, 0
        while True:
            here, gradient = yield from self._judge(here, C, view)
            f, gap = here.objective, here.gap
            stalled, least = 0 if gap < 0.9 * least else stalled + 1, min(gap, least)
            if gap <= tolerance or stalled > PATIENCE or self._n_iter >= self._max_iter:
                return here
            left = LEFT if self.support <= self._rows.shape[1] else WELL
            goal = max(ENOUGH * tolerance, left * gap) * f * BETTER**stalled
            far = np.inf if gap <= NEAR else FAR * f
            w = yield from self._newton_step(gradient, here.residuals, C, goal, far)
            step = Point(w, (yield Pass(view.used, view.dtype, w)))
            moved = self._combine([here.point, step], C, view, tolerance, last=1.0)
            self._n_iter += 1
            if moved.objective > f * (1 + ROUNDING[view.dtype]):
                return here
            here = moved

    def _judge(
        self, here: Solution, C: float, view: View
    ) -> Generator[Pass, Any, tuple[Solution, np.ndarray]]:
        """Bound how far a point is from the minimum; return that, and f's gradient, (K, d + 1).

        Half the gradient's square is the duality gap of the point and -C times the residuals, which
        are feasible where the intercepts are best. A ridge on the products of rows is a feature of
        each row's own: without it, f is higher by at most half of it times the square of the dual
        point, to first order, and the minimum is no lower.
        """
        R = here.residuals  # (K, n)

        def task(rows: slice | np.ndarray, _) -> np.ndarray:
            return R[:, rows]

        gradient = C * (yield Pass(view.used, view.dtype, task=task))
        gradient[:, :-1] += here.point.w[:, :-1]
        size = C * 2 * doubt(R, self._labels).sum(dtype=np.float64)
        tilt = np.abs(gradient[:, -1]).max() / max(size, TINY)
        gap = np.inf
        if tilt <= LEVEL[view.dtype]:
            ridge = C * self._rows.ridge
            squares = dot(gradient, gradient) + ridge * C * float(np.vdot(R, R))
            gap = (1 + ridge) * squares / 2 / max(here.objective, TINY)
        return here._replace(gap=gap), gradient

    def _newton_step(
        self, gradient: np.ndarray, residuals: np.ndarray, C: float, goal: float, far: float
    ) -> Generator[Pass, Any, np.ndarray]:
        """Solve Newton's system, of the rows that weigh: (K, d + 1)."""
        dtype = residuals.dtype.type
        most = np.minimum(2 * doubt(residuals, self._labels), 1)  # (n,), sums of p (1 - p)
        used = heaviest(C * most * (self._rows.squared_lengths + 1), LIGHT)

        def task(rows: slice | np.ndarray, scores: np.ndarray) -> np.ndarray:
            return dtype(C) * curvature_product(residuals[:, rows], self._labels[rows], scores)

        def hessian_product(v: np.ndarray) -> Generator[Pass, Any, np.ndarray]:
            return v + (yield Pass(used, dtype, v, task)).astype(dtype)

        precondition = preconditioner(self._rows, residuals, C, self.support)
        residual = -gradient.astype(dtype)
        step, n_products = yield from conjugate_gradients(
            hessian_product, precondition, residual, goal, far
        )
        taken = n_products * np.count_nonzero(used)
        self.support = next_support(self.support, taken, residual.shape, residual.itemsize)
        return step


def conjugate_gradients(
    product: Callable[[np.ndarray], Generator[Pass, Any, np.ndarray]],
    precondition: Callable[[np.ndarray], np.ndarray],
    residual: np.ndarray,
    goal: float,
    far: float,
) -> Generator[Pass, Any, np.ndarray]:
    """Solve a system, whose residual at 0 is given, until half its square is below a goal.

    As soon as the model has fallen far, and hardly falls any more, a solution is good enough.
    Otherwise what is returned, with the number of products, is the one with the least residual:
    that of conjugate gradients itself rises on the way (Zhou and Walker, Residual smoothing
    techniques for iterative methods, 1994).
    """
    dtype = residual.dtype.type
    direction, solution, smoothed = (np.zeros_like(residual) for _ in range(3))
    least, fallen, old, n_products = residual.copy(), 0.0, np.inf, 0
    while n_products < MAX_PRODUCTS:
        preconditioned = precondition(residual)
        new = float(np.vdot(residual, preconditioned))
        if not new > 0:  # rounding has the better of it
            break
        direction = preconditioned + dtype(new / old) * direction
        image = yield from product(direction)
        n_products += 1
        curvature = float(np.vdot(image, direction))
        if not curvature > 0:
            break
        length, old = new / curvature, new
        solution += dtype(length) * direction
        residual -= dtype(length) * image
        change = residual - least
        t = dtype(-np.vdot(least, change) / max(np.vdot(change, change), 1e-30))
        smoothed += t * (solution - smoothed)
        least += t * change
        fall = length * new / 2
        if np.vdot(least, least) / 2 < goal or (fallen > far and fall < LEAST_FALL * fallen):
            break
        fallen += fall
    return (solution if fallen > far else smoothed).astype(np.float64), n_products
