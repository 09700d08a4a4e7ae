"""Logistic regression for one C after another, each solution with a proven bound.

The objective ``f(w, b) = C * sum of log losses + |w|^2 / 2`` is minimised by Newton's method. The
intercepts b are minimised exactly before each step; what is left bends by at least 1 in every
direction of w, so that f is at most ``|gradient|^2 / 2`` above its minimum. That bound, in double
precision, is the only thing that ends a fit. Each Newton system is solved by conjugate gradients
(Nocedal and Wright, Numerical Optimization, 2006, chapter 7), in single precision and only as
exactly as the step deserves, preconditioned class by class with the exact inverse for the few rows
that matter to the class, from which the mean over the classes is taken off. If that is too little,
more rows matter, in double precision, and what couples the classes is corrected exactly (Rasmussen
and Williams, Gaussian Processes for Machine Learning, 2006, algorithm 3.3). Along C, a fit begins
at the best combination of the last two solutions, since w is nearly linear in log C where the
classes can be separated. How w is written down, by features or by rows, is the space's affair: see
`pyimagesearch.linear.spaces`.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pyimagesearch.linear.logloss import Curvature, LogLoss

TOLERANCE = (
    1e-3  # of f: on pooled CALTECH-101, 1e-2 and 1e-4 chose the same C (benchmarks/README.md)
)
MAX_ITER = 100  # Newton steps; real features take some 5 at the first C and 1 at a later one
NEAR = 1e-2  # from this gap on a system is solved for the bound, before that only to make way
MAX_PRODUCTS = 60  # of one system: more of them do less than a better preconditioner
PATIENCE = 5  # steps without a gain before a fit is given up: rounding has the better of it
EASY_C = 100.0  # with rows of length 1; from there on a fit begins with a ridge of 1 / C
ROUNDING = 1e-13  # relative, of an objective
LEAST_STEP = 1e-9


class Point(NamedTuple):
    """Weights in the coordinates of a space, the scores (n, K) they give, intercepts (K,)."""

    w: np.ndarray
    scores: np.ndarray
    intercepts: np.ndarray


@dataclass(frozen=True)
class Solution:
    """A minimum, as near as it was come to.

    Attributes
    ----------
    point : Point
        Where it is.
    objective : float
        f there.
    gap : float
        Proven bound on how far above its minimum f is, as a part of f.
    n_iter : int
        Newton steps taken.
    elapsed_s : float
        Seconds they took.
    """

    point: Point
    objective: float
    gap: float
    n_iter: int
    elapsed_s: float


class SolutionPath:
    """Solutions for ascending C's of one set of rows.

    Parameters
    ----------
    space : RowSpace or FeatureSpace
        The rows.
    loss : LogLoss
        Their loss.
    tolerance : float
        The gap at which a fit has converged.
    max_iter : int
        The most Newton steps of a fit.
    start : tuple of (w, intercepts), optional
        Where to begin, in place of 0.
    own_bound : bool
        Whether the gap has to be proven at the solution itself, not by a bound seen on the way.
    """

    def __init__(
        self,
        space,
        loss: LogLoss,
        tolerance: float = TOLERANCE,
        max_iter: int = MAX_ITER,
        start: tuple[np.ndarray, np.ndarray] | None = None,
        own_bound: bool = False,
    ):
        self._space, self._loss = space, loss
        self._tolerance, self._max_iter, self._own_bound = tolerance, max_iter, own_bound
        w, intercepts = start or (space.zeros(loss.n_classes), np.zeros(loss.n_classes))
        self._last = [Point(w, space.scores(w), intercepts)]
        self._is_new = start is None

    def solve(self, C: float) -> Solution:
        """Minimise at `C`, from the solutions for the C's before."""
        started, space, loss = time.perf_counter(), self._space, self._loss
        way = self._approach() if C > EASY_C and self._is_new else 0
        point = self._best_combination(C)
        best, least, bound_before, least_gap, least_f = None, -np.inf, np.inf, np.inf, np.inf
        for n_iter in range(self._max_iter - way + 1):
            value, settled, intercepts = best_intercepts(loss, point.scores, point.intercepts)
            point = point._replace(intercepts=intercepts)
            f = C * value + space.dot(point.w, point.w) / 2
            gradient = space.gradient(point, C, loss)
            bound = space.dot(gradient, gradient) / 2 if settled else np.inf
            if best is None or f <= best[0]:
                best = f, bound, point
            least = max(least, f - bound)  # what f can be at the least, whichever step showed it
            above = best[1] if self._own_bound else best[0] - least
            gap = max(above, 0.0) / best[0] if best[0] > 0 else 0.0
            if gap < 0.9 * least_gap or f < 0.99 * least_f:
                least_gap, least_f, better = gap, f, n_iter
            if (
                gap <= self._tolerance
                or way + n_iter == self._max_iter
                or n_iter - better > PATIENCE
            ):
                break
            near = bound <= NEAR * f
            if bound > bound_before / 2 and near:
                space.work_harder()
            bound_before = bound
            goal = max(0.4 * self._tolerance * f, (0.05 if bound < 0.1 * f else 0.1) * bound)
            curvature = Curvature(space.cast(loss.wrong(point.scores, intercepts)), loss.labels, C)
            step, solved = conjugate_gradients(space, curvature, gradient, goal, to_the_goal=near)
            if not solved:
                space.work_harder()
            moved = self._move(C, point, f, gradient, step)
            if moved is None:
                break
            point = moved
        f, _, point = best
        point = space.refresh(point)
        self._last = [point] if self._is_new else [self._last[-1], point]
        self._is_new = False
        return Solution(point, float(f), float(gap), way + n_iter, time.perf_counter() - started)

    def _approach(self) -> int:
        """Begin a large C, far from which Newton's steps go astray; return how many were taken.

        The start is ridge regression's, which gives nearly one margin to all rows, as the minimum
        does; where its system is too large, the minimum at a C that is not.
        """
        space, loss, (zero,) = self._space, self._loss, self._last
        _, _, b = best_intercepts(loss, zero.scores, zero.intercepts)
        slope = loss.residuals(zero.scores, b, slice(None))
        solved = space.ridge(-slope, 1 / EASY_C)
        if solved is None:
            way = SolutionPath(space, loss, NEAR, self._max_iter)
            n_iter = way.solve(EASY_C).n_iter
            self._last = way._last
            return n_iter
        w, scores, change = space.step(solved)
        self._last = [Point(w, scores, change)]  # not b: that would grow with w
        return 1

    def _best_combination(self, C: float) -> Point:
        """Return the best combination of the last solution and its change, by Newton's method."""
        newest = self._last[-1]
        directions = [newest]
        if len(self._last) > 1:
            directions.append(Point(*(x - y for x, y in zip(newest, self._last[-2], strict=True))))
        products = np.array([[self._space.dot(u.w, v.w) for v in directions] for u in directions])
        places = [(point.scores, point.intercepts) for point in directions]

        def at(factors: np.ndarray) -> tuple:
            loss, slope, bend = self._loss.along(places, factors)
            f = C * loss + factors @ products @ factors / 2
            return f, C * slope + products @ factors, C * bend + products

        factors = np.eye(len(directions))[0]
        f, slope, bend = at(factors)
        for _ in range(30):
            step = -np.linalg.lstsq(bend, slope, rcond=1e-12)[0]
            if -(slope @ step) < 1e-4 * f:
                break
            t, there = 1.0, at(factors + step)
            while there[0] > f and t > LEAST_STEP:
                t /= 2
                there = at(factors + t * step)
            if there[0] > f:
                break
            factors, (f, slope, bend) = factors + t * step, there
        parts = zip(*directions, strict=True)
        return Point(*(sum(map(np.multiply, factors, part)) for part in parts))

    def _move(self, C: float, point: Point, f: float, gradient, step) -> Point | None:
        """Go along a step as far as f falls enough; None if it does not."""
        space, loss = self._space, self._loss
        u, scores, intercepts = space.step(step)
        ww, wu, uu = space.dot(point.w, point.w), space.dot(point.w, u), space.dot(u, u)
        slope, t = min(space.dot(gradient, u), 0.0), 1.0
        while t > LEAST_STEP:
            there = point.scores + t * scores
            b = point.intercepts + t * intercepts
            new = C * loss.value(there, b) + ww / 2 + t * wu + t**2 * uu / 2
            if new <= f + 1e-4 * t * slope + ROUNDING * f:
                return Point(point.w + t * u, there, b)
            t /= 2
        return None


def best_intercepts(loss: LogLoss, scores: np.ndarray, b: np.ndarray) -> tuple:
    """Minimise the loss over the intercepts alone, by Newton's method.

    Returns
    -------
    float
        The loss.
    bool
        Whether its slope is as good as 0: a 1e10th of what it is the sum of.
    ndarray, shape (K,)
        The intercepts.
    """
    value, slope, bend, size = loss.by_intercepts(scores, b)
    for _ in range(50):
        if np.abs(slope).max() <= 1e-10 * size:
            return value, True, b
        trace = np.trace(bend)
        bend += trace / len(b) ** 2  # flat where all intercepts grow alike
        bend.flat[:: len(b) + 1] += 1e-12 * trace + 1e-300
        step = -np.linalg.solve(bend, slope)
        t = min(1.0, 2 / np.abs(step).max())
        while t > LEAST_STEP and loss.value(scores, b + t * step) > value * (1 + ROUNDING):
            t /= 2
        if t <= LEAST_STEP:
            break
        b = b + t * step
        value, slope, bend, size = loss.by_intercepts(scores, b)
    return value, bool(np.abs(slope).max() <= 1e-10 * size), b


def conjugate_gradients(
    space, curvature: Curvature, gradient, goal: float, to_the_goal: bool
) -> tuple[np.ndarray, bool]:
    """Solve Newton's system for the step, until half the square of what is left is below a goal.

    Parameters
    ----------
    space, curvature
        What the Hessian consists of.
    gradient
        At the place of the curvature.
    goal : float
        What may be left, as a bound on f.
    to_the_goal : bool
        If not, the solution is good enough as soon as the quadratic model hardly falls any more.

    Returns
    -------
    array
        The step, in the coordinates of the space.
    bool
        Whether it came as far as it should.
    """
    precondition = space.preconditioner(curvature)
    rest = space.cast(-gradient)
    step, smoothed, rest_of_smoothed = np.zeros_like(rest), np.zeros_like(rest), rest.copy()
    fallen = old = 0.0
    for i in range(MAX_PRODUCTS):
        better = precondition(rest)
        new = space.dot(rest, better)
        if not new > 0:  # rounding has the better of it
            break
        direction = better + (new / old) * direction if i else better  # noqa: F821
        old = new
        image = space.hessian_product(curvature, direction)
        bending = space.dot(image, direction)
        if not bending > 0:
            break
        length = new / bending
        step += length * direction
        rest -= length * image
        # The way with the least residual: that of conjugate gradients itself rises on the way
        # (Zhou and Walker, Residual smoothing techniques for iterative methods, 1994).
        change = rest - rest_of_smoothed
        t = -space.dot(rest_of_smoothed, change) / max(space.dot(change, change), 1e-300)
        smoothed += t * (step - smoothed)
        rest_of_smoothed += t * change
        fall = length * new / 2
        fallen += fall
        if space.dot(rest_of_smoothed, rest_of_smoothed) / 2 < goal:
            return (smoothed if to_the_goal else step), True
        if not to_the_goal and i and fall < 0.05 * fallen:
            return step, True
    return (smoothed if to_the_goal else step), False
