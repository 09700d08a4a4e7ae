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
C, a fit begins at the best combination of the last solutions, for w is nearly linear in log C; the
first of them is reached by way of smaller C's and, of very many rows, from some of them. Folds are
fitted at once and share the passes over the rows: see `pyimagesearch.linear.rows`; with fewer rows
than features they work in row space: see `pyimagesearch.linear.rowspace`.
"""

import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import numpy as np

from pyimagesearch.linear.combination import (
    FLAT,
    ROUNDING,
    TINY,
    Point,
    Solution,
    best_combination,
    dot,
)
from pyimagesearch.linear.logloss import curvature_product, doubt
from pyimagesearch.linear.preconditioner import SAMPLE, next_sample, preconditioner
from pyimagesearch.linear.rows import Pass, Rows

MAX_ITER = 100  # Newton steps; real features take some 5 at the first C and 1 or 2 at a later one
EASY_C = 100.0  # with rows of length 1: from 0, Newton's steps go astray far above it
LARGE_C = 1e30  # from here on, products with it overflow in single precision
ROUGH = 1.0  # the gap at which an easier problem is left: its solution is only to begin from
LEFT = 0.1  # of a gap a step may leave: below it, the quadratic model is what is wrong
ENOUGH = 0.4  # of the tolerance a step may leave: if nothing, CALTECH-101 takes a sixth longer
FAR = 1e-3  # of f: above a gap of ROUGH a step is to fall so far, not to be accurate
MAX_PRODUCTS = 60  # of one system; with 40 or 100, real features take as long
LEAST_FALL = 0.02  # of the model's fall so far: when a product adds less, the step is taken
PATIENCE = 12  # steps without a gap smaller by a tenth; pictures in two classes take some in a row
BETTER = 0.1  # of what a step would leave, after each of these
LIGHT = 0.1  # of the Hessian may be left out: if nothing, 25,000 x 25,088 takes a sixth longer
FIRST_ROWS = 1000, 20  # to begin on: so many, or so many of each class
MANY = 8  # times as many rows, and features, are reason to begin on some


class SolutionPath:
    """Solutions for ascending C's of one set of rows.

    Its methods are generators that `pyimagesearch.linear.rows.together` runs. `used` (n,) tells
    which rows are fitted; the first fit begins at weights `begin` (K, d + 1), if they are given.
    """

    def __init__(
        self,
        rows: Rows,
        labels: np.ndarray,
        used: np.ndarray,
        max_iter: int = MAX_ITER,
        begin: np.ndarray | None = None,
    ):
        self._rows, self._labels, self._used = rows, labels, used
        self._max_iter, self._given, self._last = max_iter, begin, []
        self._combine = partial(best_combination, rows, labels, used)
        self.n_iter, self.sample = 0, SAMPLE  # rows of each class that the preconditioner takes

    def solve(self, C: float, tolerance: float) -> Generator[Pass, Any, Solution]:
        """Minimise at `C`, from the solutions for the C's before, until the gap is small."""
        started = time.perf_counter()
        self.n_iter = 0
        points = self._last or [(yield from self._begin(C))]
        here = yield from self._best(points, C, self._dtype(C))
        here = yield from self._descend(here, C, tolerance)
        here = yield from self.bound(C, here.point.w)
        here = yield from self._descend(here, C, tolerance)  # in double precision, if need be
        self._last = [here.point, *self._last[:1]]
        elapsed_s = time.perf_counter() - started
        return here._replace(n_iter=self.n_iter, elapsed_s=elapsed_s)

    def bound(self, C: float, w: np.ndarray) -> Generator[Pass, Any, Solution]:
        """Bound, in double precision, how far weights of the best length are from the minimum."""
        point = yield from self._point(w)
        return (yield from self._best([point], C, np.float64))

    def _dtype(self, C: float) -> type:
        return self._rows.single if C < LARGE_C else np.float64

    def _point(self, w: np.ndarray) -> Generator[Pass, Any, Point]:
        return Point(w, (yield Pass(np.ones_like(self._used), V=w)))

    def _begin(self, C: float) -> Generator[Pass, Any, Point]:
        """Return what to begin from: weights that were given, or those of easier problems."""
        if self._given is not None:
            return (yield from self._point(self._given))
        (n, d), n_classes = self._rows.shape, self._rows.n_classes
        point = Point(np.zeros((n_classes, d + 1)), np.zeros((n_classes, n)))
        n_tens = max(0, int(np.ceil(np.log10(C / EASY_C))))
        easier = [C / 10.0**tens for tens in range(n_tens, 0, -1)]
        first_rows, path = self._first_rows(), self
        if first_rows is not self._used:
            easier.append(C)
            path = SolutionPath(self._rows, self._labels, first_rows, self._max_iter)
        for easier_C in easier:
            here = yield from path._best([point], easier_C, self._dtype(C))
            point = (yield from path._descend(here, easier_C, ROUGH)).point
        if path is not self:
            self.n_iter += path.n_iter
            point = yield from self._point(point.w)
        return point

    def _first_rows(self) -> np.ndarray:
        """Return which rows to begin on: all, or of many some of each class."""
        there = np.flatnonzero(self._used)
        there = there[np.argsort(self._labels[there], kind="stable")]
        least, of_class = FIRST_ROWS
        n_first = max(least, of_class * self._rows.n_classes)
        if min(len(there), self._rows.shape[1]) < MANY * n_first:
            return self._used
        first = np.zeros_like(self._used)
        first[there[:: len(there) // n_first]] = True
        first[there[np.unique(self._labels[there], return_index=True)[1]]] = True
        return first

    def _descend(
        self, here: Solution, C: float, tolerance: float
    ) -> Generator[Pass, Any, Solution]:
        """Take Newton steps until the gap is small, in the precision of the residuals."""
        dtype, gap, stalled = here.residuals.dtype.type, here.gap, 0
        # In double precision a step may be the last, whose scores judge the rows left out, too.
        scored = self._used if dtype == np.float32 else np.ones_like(self._used)
        least = here.objective * (1 - gap)  # what the minimum cannot be below, wherever it is found
        while gap > tolerance and stalled <= PATIENCE and self.n_iter < self._max_iter:
            f = here.objective
            goal = max(ENOUGH * tolerance, LEFT * here.gap) * f * BETTER**stalled
            far = np.inf if here.gap <= ROUGH else FAR * f
            w = yield from self._newton_step(here, C, goal, far)
            step = Point(w, (yield Pass(scored, dtype, w)))
            moved = yield from self._best([here.point, step], C, dtype, last=1.0)
            self.n_iter += 1
            if not moved.objective <= f * (1 + ROUNDING[dtype]):  # nor if it is not a number
                break
            here, least = moved, max(least, moved.objective * (1 - moved.gap))
            before, gap = gap, 1 - least / max(here.objective, TINY)
            stalled = 0 if gap < 0.9 * before else stalled + 1
        return here._replace(gap=gap)

    def _best(
        self, points: Sequence[Point], C: float, dtype: type, last: float = 0.0
    ) -> Generator[Pass, Any, Solution]:
        """Return the best combination of points, with its gradient and its bound.

        Half the gradient's square is the duality gap of the point and -C times the residuals, which
        are feasible where the intercepts are best. A ridge on the products of rows is a feature of
        each row's own: without it, f is higher by at most half of it times the square of the dual
        point, to first order, and the minimum is no lower.
        """
        here = self._combine(points, C, dtype, last)
        R = here.residuals  # (K, n)

        def task(rows: slice | np.ndarray, _) -> np.ndarray:
            return R[:, rows]

        gradient = C * (yield Pass(self._used, dtype, task=task))  # (K, d + 1)
        gradient[:, :-1] += here.point.w[:, :-1]
        size = C * 2 * doubt(R, self._labels).sum(dtype=np.float64)
        gap = np.inf
        if np.abs(gradient[:, -1]).max() <= FLAT[dtype] * size:
            ridge = C * self._rows.ridge
            squares = dot(gradient, gradient) + ridge * C * float(np.vdot(R, R))
            gap = (1 + ridge) * squares / 2 / max(here.objective, TINY)
        return here._replace(gradient=gradient, gap=gap)

    def _newton_step(
        self, here: Solution, C: float, goal: float, far: float
    ) -> Generator[Pass, Any, np.ndarray]:
        """Solve Newton's system, of the rows that weigh: (K, d + 1)."""
        residuals, dtype = here.residuals, here.residuals.dtype.type
        most = np.minimum(2 * doubt(residuals, self._labels), 1)  # (n,), sums of p (1 - p)
        used = heaviest(C * most * (self._rows.squared_lengths + 1), LIGHT)

        def task(rows: slice | np.ndarray, scores: np.ndarray) -> np.ndarray:
            return dtype(C) * curvature_product(residuals[:, rows], self._labels[rows], scores)

        def hessian_product(v: np.ndarray) -> Generator[Pass, Any, np.ndarray]:
            return v + (yield Pass(used, dtype, v, task)).astype(dtype)

        precondition = preconditioner(self._rows, residuals, C, self.sample)
        residual = -here.gradient.astype(dtype)
        step, n_products = yield from conjugate_gradients(
            hessian_product, precondition, residual, goal, far
        )
        taken = n_products * np.count_nonzero(used)
        self.sample = next_sample(self.sample, taken, residual.shape, residual.itemsize)
        return step


def heaviest(weights: np.ndarray, limit: float) -> np.ndarray:
    """Return which rows to keep so that the weights of the others sum to a limit at most."""
    ascending = np.append(np.sort(weights), np.inf)
    return weights >= ascending[np.searchsorted(np.cumsum(ascending), limit, side="right")]


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
        t = dtype(-np.vdot(least, change) / max(np.vdot(change, change), np.finfo(dtype).tiny))
        smoothed += t * (solution - smoothed)
        least += t * change
        fall = length * new / 2
        if np.vdot(least, least) / 2 < goal or (fallen > far and fall < LEAST_FALL * fallen):
            break
        fallen += fall
    return (solution if fallen > far else smoothed).astype(np.float64), n_products
