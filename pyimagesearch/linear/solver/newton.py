"""Logistic regression for one C after another, each solution with a proven bound.

The objective ``f(w, b) = C * sum of log losses + |w|^2 / 2`` is minimised by Newton's method. The
intercepts b are minimised exactly before each step; what is left is strongly convex in w, with
modulus 1, so that f is at most ``|gradient|^2 / 2`` above its minimum (the duality gap). That
bound, of all rows and in double precision, is the only thing that ends a fit; before it, single
precision will do. Each Newton system is solved by conjugate gradients (Nocedal and Wright,
Numerical Optimization, 2006, chapter 7), only as accurately as the step needs and without the rows
whose part of the Hessian is negligible, preconditioned by a sub-sampled Hessian of each class. The
next point is the best combination of the last one and the step: where the classes can be separated,
mostly the length of w has to grow. Along C, a fit begins at the best combination of the last
solutions, for w is nearly linear in log C; the first of them is reached by way of smaller C's and,
of very many rows, from some of them.

Several fits go in lockstep: each takes its step when the others do, so that one pass over the rows
serves all that still need it; see `pyimagesearch.linear.solver.rows`. With fewer rows than features
they work in row space: see `pyimagesearch.linear.solver.rowspace`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pyimagesearch.linear.solver.conjugategradients import MAX_PRODUCTS, System
from pyimagesearch.linear.solver.logloss import LogLoss
from pyimagesearch.linear.solver.preconditioner import SAMPLE, next_sample, preconditioner
from pyimagesearch.linear.solver.rows import Block, Rows
from pyimagesearch.linear.solver.subspace import (
    ROUNDING,
    TINY,
    Point,
    Solution,
    best_combination,
    dot,
)

MAX_ITER = 100  # Newton steps; real features take some 5 at the first C and 1 or 2 at a later one
EASY_C = 100.0  # with rows of length 1: from 0, Newton's steps diverge far above it
LARGE_C = 1e30  # from here on, products with it overflow in single precision
ROUGH = 1.0  # the gap at which an easier problem is left: its solution is only to begin from
FORCING_TERM = 0.1  # of a gap a step may leave: below it, the error is that of the quadratic model
LEAST_FORCING = 0.4  # of the tolerance it may: at 0, CALTECH-101 takes a sixth longer
FAR = 1e-3  # of f: above a gap of ROUGH a step is to fall so far, not to be accurate
PATIENCE = 12  # steps without a gap smaller by a tenth; images in two classes take some in a row
STALL_FACTOR = 0.1  # of the forcing term, after each of these
DROPPED_HESSIAN = 0.1  # by light rows; at 0, 25,000 x 25,088 takes a sixth longer
FIRST_ROWS = 1000, 20  # to begin on: so many, or so many of each class
MANY = 8  # times as many rows, and features, are reason to begin on some


@dataclass
class Fit:
    """One of the fits: what it is fitted to, and how far it has come."""

    loss: LogLoss
    solved: list[Point] = field(default_factory=list)  # for the last two C's, the latest first
    here: Solution | None = None
    n_iter: int = 0  # Newton steps taken at this C
    n_stalled: int = 0  # the last of them that did not make the gap smaller by a tenth
    sample: int = SAMPLE  # rows of each class that the preconditioner takes

    def move(self, there: Solution) -> bool:
        """Go where a step has led to, unless f is larger there; return whether it is not.

        A lower bound on the minimum holds wherever it was found.
        """
        self.n_iter += 1
        here, rounding = self.here, ROUNDING[there.residuals.dtype.type]
        if not there.objective <= here.objective * (1 + rounding):  # nor if it is NaN
            return False
        least = max(solution.objective * (1 - solution.gap) for solution in (here, there))
        gap = 1 - least / max(there.objective, TINY)
        self.n_stalled = 0 if gap < 0.9 * here.gap else self.n_stalled + 1
        self.here = there._replace(gap=gap)
        return True


class Fits:
    """Fits of the same rows with other weights, for ascending C's, in lockstep.

    Parameters
    ----------
    rows : Rows
        What is fitted, n rows of d features.
    labels : ndarray of int, shape (n,)
        Classes, as indices. One of which a fit has no row has no probability there.
    weights : ndarray, shape (F, n)
        How much each row's loss counts in each fit; 0 leaves it out.
    max_iter : int
        The most Newton steps of one fit at one C.
    """

    def __init__(
        self, rows: Rows, labels: np.ndarray, weights: np.ndarray, max_iter: int = MAX_ITER
    ):
        self._rows, self._labels, self._weights = rows, labels, np.asarray(weights)
        self._max_iter = max_iter
        self._fits = [Fit(LogLoss(labels, of_fit, rows.n_classes)) for of_fit in weights]

    def solve(self, C: float, tolerance: float, begin: np.ndarray | None = None) -> list[Solution]:
        """Minimise at `C` until the gaps are small.

        It begins at weights (F, K, d + 1), if they are given, or from the solutions for the C's
        before.
        """
        started = time.perf_counter()
        dtype = self._rows.single if C < LARGE_C else np.float64
        for fit in self._fits:
            fit.n_iter = 0
        points = [fit.solved for fit in self._fits]
        if begin is not None:
            points = self._points(begin)
        elif not all(points):
            points = self._begin(C, dtype)
        self._descend(self._best(self._fits, points, C, dtype), C, tolerance)
        self._descend(self.bound(C, [fit.here.point.w for fit in self._fits]), C, tolerance)
        elapsed_s = time.perf_counter() - started
        for fit in self._fits:
            fit.solved = [fit.here.point, *fit.solved[:1]]
        return [fit.here._replace(n_iter=fit.n_iter, elapsed_s=elapsed_s) for fit in self._fits]

    def bound(self, C: float, w: Sequence[np.ndarray]) -> list[Solution]:
        """Bound, in double precision, how far weights of the best length are from the minimum."""
        return self._best(self._fits, self._points(w), C, np.float64)

    def _points(self, w: Sequence[np.ndarray]) -> list[list[Point]]:
        """Return weights with the scores of all rows, as where each fit may begin."""
        w = np.stack(w)
        scores = self._rows.scores(w, np.ones(self._weights.shape, bool), np.float64)
        return [[Point(*point)] for point in zip(w, scores, strict=True)]

    def _begin(self, C: float, dtype: type) -> list[list[Point]]:
        """Return the solutions of easier problems: of smaller C's and, of very many, some rows."""
        (n, d), n_classes = self._rows.shape, self._rows.n_classes
        n_tens = max(0, int(np.ceil(np.log10(C / EASY_C))))
        easier = [C / 10.0**tens for tens in range(n_tens, 0, -1)]
        path, some = self, self._some_rows()
        if some is not None:
            path, easier = Fits(self._rows, self._labels, some, self._max_iter), [*easier, C]
        zero = Point(np.zeros((n_classes, d + 1)), np.zeros((n_classes, n)))
        points = [[zero]] * len(self._fits)
        for easier_C in easier:
            path._descend(path._best(path._fits, points, easier_C, dtype), easier_C, ROUGH)
            points = [[fit.here.point] for fit in path._fits]
        if path is self:
            return points
        for fit, on_some in zip(self._fits, path._fits, strict=True):
            fit.n_iter = on_some.n_iter
        return self._points([point.w for (point,) in points])

    def _some_rows(self) -> np.ndarray | None:
        """Return weights of some rows to begin on, if there are many: some of each class."""
        least, of_class = FIRST_ROWS
        n_first = max(least, of_class * self._rows.n_classes)
        n_used = min(np.count_nonzero(fit.loss.used) for fit in self._fits)
        if min(n_used, self._rows.shape[1]) < MANY * n_first:
            return None
        some = np.zeros_like(self._weights)
        for i, fit in enumerate(self._fits):
            used = np.flatnonzero(fit.loss.used)
            used = used[np.argsort(self._labels[used], kind="stable")]
            one_each = np.unique(self._labels[used], return_index=True)[1]
            first = np.append(used[:: len(used) // n_first], used[one_each])
            some[i, first] = self._weights[i, first]
        return some

    def _descend(self, begin: Sequence[Solution], C: float, tolerance: float) -> None:
        """Take Newton steps until the gaps are small, in the precision of where they begin."""
        for fit, here in zip(self._fits, begin, strict=True):
            fit.here, fit.n_stalled = here, 0
        dtype, going = begin[0].residuals.dtype.type, self._fits
        while going := [
            fit
            for fit in going
            if fit.here.gap > tolerance
            and fit.n_stalled <= PATIENCE
            and fit.n_iter < self._max_iter
        ]:
            steps = self._newton_steps(going, C, tolerance)
            # In double precision one may be the last, whose scores classify the rows left out, too.
            scored = np.stack([fit.loss.used | (dtype == np.float64) for fit in going])
            scores = self._rows.scores(steps, scored, dtype)
            points = [
                [fit.here.point, Point(*step)]
                for fit, *step in zip(going, steps, scores, strict=True)
            ]
            there = self._best(going, points, C, dtype, last=1.0)
            going = [fit for fit, found in zip(going, there, strict=True) if fit.move(found)]

    def _best(
        self,
        fits: Sequence[Fit],
        points: Sequence[Sequence[Point]],
        C: float,
        dtype: type,
        last: float = 0.0,
    ) -> list[Solution]:
        """Return the best combination of each fit's points, with its gradient and its bound.

        Half the gradient's square is the duality gap of the point and -C times the residuals, which
        are feasible where the intercepts are best. A ridge on the products of rows is a feature of
        each row's own: without it, f is higher by at most half of it times the square of the dual
        point, to first order, and the minimum is no lower.
        """
        best = [
            best_combination(self._rows, fit.loss, of_fit, C, dtype, last)
            for fit, of_fit in zip(fits, points, strict=True)
        ]
        used = np.stack([fit.loss.used for fit in fits])
        gradients = C * self._rows.weighted_sums(
            lambda i, rows, _: best[i].residuals[:, rows], used, dtype
        )
        ridge = C * self._rows.ridge
        for i, (here, gradient) in enumerate(zip(best, gradients, strict=True)):
            gradient[:, :-1] += here.point.w[:, :-1]
            squares = dot(gradient, gradient)
            squares += ridge * C * float(np.vdot(here.residuals, here.residuals))
            gap = (1 + ridge) * squares / 2 / max(here.objective, TINY) if here.flat else np.inf
            best[i] = here._replace(gradient=gradient, gap=gap)
        return best

    def _newton_steps(self, fits: Sequence[Fit], C: float, tolerance: float) -> np.ndarray:
        """Solve Newton's systems side by side: (F, K, d + 1)."""
        dtype, lengths = fits[0].here.residuals.dtype.type, self._rows.squared_lengths + 1
        systems, significant = [], np.empty((len(fits), len(lengths)), bool)
        for i, fit in enumerate(fits):
            here, loss = fit.here, fit.loss
            most = np.minimum(2 * loss.doubt(here.residuals), loss.weights)  # sums of p (1 - p)
            significant[i] = significant_rows(C * most * lengths, DROPPED_HESSIAN)
            forcing = max(LEAST_FORCING * tolerance, FORCING_TERM * here.gap)
            goal = forcing * STALL_FACTOR**fit.n_stalled * here.objective
            precondition = preconditioner(self._rows, loss, here.residuals, C, fit.sample)
            far = FAR * here.objective if here.gap > ROUGH else np.inf
            systems.append(System(here.gradient.astype(dtype), precondition, goal, far))
        while unsolved := [i for i, system in enumerate(systems) if system.unsolved]:
            directions = np.stack([systems[i].direction for i in unsolved])

            def weigh(i: int, rows: Block, scores: np.ndarray) -> np.ndarray:
                fit = fits[unsolved[i]]
                product = fit.loss.curvature_product(fit.here.residuals, scores, rows)
                return dtype(C) * product

            sums = self._rows.weighted_sums(weigh, significant[unsolved], dtype, directions)
            for i, image in zip(unsolved, directions + sums.astype(dtype), strict=True):
                systems[i].advance(image)
        for fit, system, rows in zip(fits, systems, significant, strict=True):
            taken, step = system.n_products * np.count_nonzero(rows), system.step
            if system.n_products == MAX_PRODUCTS:  # not solved: more rows at any cost
                taken = np.inf
            fit.sample = next_sample(fit.sample, taken, step.shape, step.itemsize)
        return np.stack([system.step for system in systems], dtype=np.float64)


def significant_rows(weights: np.ndarray, limit: float) -> np.ndarray:
    """Return which rows to keep so that the weights of the others sum to a limit at most."""
    ascending = np.append(np.sort(weights), np.inf)
    return weights >= ascending[np.searchsorted(np.cumsum(ascending), limit, side="right")]
