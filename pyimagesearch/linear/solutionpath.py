"""The optimum of logistic regression for one C after another, certified.

Newton's method minimises ``f(w) = C * sum of log losses + |w|^2 / 2``. Three
things make it fast and safe here:

- It follows a path. Each optimum is found from that of a smaller C, and where
  that is far off, by way of C's in between, tenfold apart, down to where f is
  nearly quadratic. Before each step the length of each column of w and the
  intercepts are optimised by themselves, which needs no product with the
  data: between two C's of separable classes, hardly more than these lengths
  changes, and a small class needs another one than a large class.
- The system of a step is solved as exactly as the step deserves, and each
  step's twice as exactly as the one's before (Dembo, Eisenstat and Steihaug,
  "Inexact Newton methods", 1982): see `pyimagesearch.linear.newton`.
- f bends by at least |w|^2 / 2 in every direction, so that ``f(w)`` is at
  most ``|gradient|^2 / 2`` above its minimum. A fit has converged when this
  bound is a given small part of f: that depends neither on the scale of the
  features nor on that of C, and where the fit was started makes no difference.
  Where f is so steep that double precision ends before that, Newton's own
  estimate of what is left takes the bound's place.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pyimagesearch.linear.logloss import LogLoss
from pyimagesearch.linear.newton import NewtonSolver, make_definite, solve_definite, squared
from pyimagesearch.linear.spaces import FeatureSpace, Pair, RowSpace

TOLERANCE = 1e-6  # of f, by the bound; what is left is mostly far smaller
FINE_TOLERANCE = 1e-9  # where it costs nothing
FEW_SCORES = 100_000  # rows times columns
MAX_ITER = 200  # Newton steps
COARSE = 0.2  # accuracy of the first of them at a C
NEAR = 1.0  # a gap from which a few steps lead to the minimum
MAX_SMALL_STEPS = 50  # for lengths and intercepts: a handful, but from a place that is far
SETTLED = 1e-3  # of the tolerance: what the last of these steps may have brought
LEAST_STEP = 1e-10
ROUNDING = 1e-14  # relative, of an objective
LEAST_SQUARE = 1e-300


@dataclass(frozen=True)
class Solution:
    """A fit of logistic regression at one C.

    Attributes
    ----------
    C : float
        Inverse strength of the regularisation.
    coordinates : ndarray, shape (n_coordinates, k)
        The weights, in the coordinates of the space they were fitted in.
    intercepts : ndarray, shape (k,)
        For centred rows.
    objective : float
        C times the sum of the log losses, and half the squared weights.
    gap : float
        Upper bound on how far above its minimum the objective is, as a part
        of it.
    n_iter : int
        Newton steps taken.
    converged : bool
        Whether the gap is within the tolerance.
    elapsed_s : float
        Seconds it took.
    """

    C: float
    coordinates: np.ndarray = field(repr=False)
    intercepts: np.ndarray = field(repr=False)
    objective: float
    gap: float
    n_iter: int
    converged: bool
    elapsed_s: float


class Place(NamedTuple):
    """What is known of the objective where a fit stands.

    Attributes
    ----------
    f : float
        The objective.
    gap : float
        How far above its minimum it is at most, as a part of it.
    gradient : pair of ndarray
        Coordinates of the gradient, and its scores.
    """

    f: float
    gap: float
    gradient: Pair | None = None


NOWHERE = Place(np.inf, np.inf)


class SolutionPath:
    """Solutions for growing C, each found from the one before.

    Parameters
    ----------
    space : RowSpace or FeatureSpace
        The rows to fit.
    labels : ndarray of int, shape (n,)
        Their class indices.
    n_classes : int
        How many classes there are.
    grid : sequence of float
        The C's at which the path stops: it is the same whichever of them is
        asked for first.
    tolerance : float, optional
        The gap that counts as converged: 1e-6 by default, and 1e-9 for fits
        so small that Newton's system is solved by elimination.
    max_iter : int
        The most Newton steps for one C, those on the way to it included.
    start : tuple of ndarray, optional
        Coordinates and intercepts to begin with, in place of the means of
        the classes.
    """

    def __init__(
        self,
        space: RowSpace | FeatureSpace,
        labels: np.ndarray,
        n_classes: int,
        grid: Sequence[float],
        tolerance: float | None = None,
        max_iter: int = MAX_ITER,
        start: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self._space, self._loss = space, LogLoss(labels, n_classes)
        self._loss.settle(np.zeros((len(labels), self._loss.n_columns)))
        self._solver = NewtonSolver(space, self._loss)
        self._by_rows = isinstance(space, RowSpace) and is_large(len(labels), self._loss.n_columns)
        usual = FINE_TOLERANCE if self._solver.direct else TOLERANCE
        self._tolerance = usual if tolerance is None else tolerance
        self._grid, self._max_iter = sorted(grid), max_iter
        self._least_C = 1 / max(space.squared_rows().sum(dtype=np.float64), LEAST_SQUARE)
        self._lock = threading.Lock()
        self._solutions: dict[float, Solution] = {}
        self._move_to(*(start or self._class_means()))

    def solve(self, C: float) -> Solution:
        """Return the solution at one C of the grid."""
        with self._lock:
            for smaller in self._grid:
                if smaller <= C and smaller not in self._solutions:
                    self._solutions[smaller] = self._next(smaller)
        return self._solutions[C]

    def decide(self, rows: np.ndarray, solution: Solution) -> np.ndarray:
        """Return the scores of other rows under a solution: (len(rows), k)."""
        return self._space.decide(rows, solution.coordinates) + solution.intercepts

    def model(self, solution: Solution) -> tuple[np.ndarray, np.ndarray]:
        """Return a solution's weights (k, d) and intercepts (k,) for features as they are."""
        w, shift = self._space.model(solution.coordinates)
        return w, solution.intercepts + shift

    def _next(self, C: float) -> Solution:
        """Minimise at `C`, from where the path stands."""
        started = time.perf_counter()
        self._n_iter = 0
        place = self._minimise(C, self._tolerance)
        elapsed_s = time.perf_counter() - started
        converged = bool(place.gap <= self._tolerance)
        return Solution(C, self._V, self._b, place.f, place.gap, self._n_iter, converged, elapsed_s)

    def _minimise(self, C: float, tolerance: float) -> Place:
        """Take Newton steps at C until the gap is within the tolerance, or as small as it gets."""
        place, least, self._coarse = self._approach(C), NOWHERE, COARSE
        while self._n_iter < self._max_iter:
            stuck = place.gap > 0.9 * least.gap and place.f > (1 - ROUNDING) * least.f
            if stuck:
                place = place._replace(gap=min(place.gap, self._promised / place.f))
            if not stuck and place.gap > tolerance:
                least = Place(min(place.f, least.f), min(place.gap, least.gap))
                self._newton_step(C, place)
                self._n_iter += 1
                self._coarse /= 2
            elif self._space.sharpen(self._V, self._S):
                self._move_to(self._V, self._b)
                least = NOWHERE
            else:
                break
            place = self._measure(C)
        return place

    def _approach(self, C: float) -> Place:
        """Come near the minimum at C, by way of smaller C's where it is far."""
        place = self._measure(C)
        if place.gap > NEAR and self._least_C < C:
            if not self._solutions and self._V.any():
                self._move_to(0 * self._V, 0 * self._b)  # a far start is worse than none
            self._minimise(C / 10, NEAR)
            place = self._measure(C)
        return place

    def _class_means(self) -> Pair:
        """Return weights towards the means of the classes, with scores of up to 1."""
        V = self._space.combine(self._loss.residuals)
        largest = np.abs(self._space.scores(V)).max()
        return V / largest if largest > 0 else 0 * V, np.zeros(self._loss.n_columns)

    def _move_to(self, V: np.ndarray, b: np.ndarray) -> None:
        # Scores anew, as sums of sums in single precision would drift.
        self._V, self._b, self._S = V, b, self._space.scores(V).astype(np.float64)

    def _measure(self, C: float) -> Place:
        """Optimise lengths and intercepts, and see how far the minimum can be."""
        f, settled = self._optimise_lengths_and_intercepts(C)
        rest = self._V - self._space.combine(C * self._loss.residuals)
        gradient = rest, self._space.scores(rest)
        # The bound holds at the best intercepts.
        bound = squared(self._space, *gradient) / 2 if settled else np.inf
        return Place(f, bound / f if f > 0 else 0.0, gradient)

    def _objective(self, C: float, S: np.ndarray, squared_length: float) -> float:
        return C * self._loss.value(S) + squared_length / 2

    def _optimise_lengths_and_intercepts(self, C: float) -> tuple[float, bool]:
        """Minimise f over a factor of each column of w and the intercepts.

        That has two dimensions a column, and is a Newton method without
        products of the size of the data. Return f, and whether it is done.
        """
        k = self._loss.n_columns
        squares = np.maximum(self._space.dots(self._V, self._V, self._S), 0)
        factors = np.stack([np.ones_like(self._S), self._S], axis=1)  # (n, 2, k)
        lengths, b = np.ones(k), self._b
        f = self._objective(C, self._S + b, squares.sum())
        for _ in range(MAX_SMALL_STEPS):
            self._loss.settle(lengths * self._S + b)
            gradient, step = self._small_step(C, factors, lengths, squares)
            slope = gradient @ step

            def moved(t: float, lengths=lengths, b=b, step=step) -> float:
                longer = lengths + t * step[k:]
                return self._objective(
                    C, longer * self._S + (b + t * step[:k]), longer**2 @ squares
                )

            t, f = _backtrack(moved, f, slope)
            b, lengths = b + t * step[:k], lengths + t * step[k:]
            settled = t == 0 or -slope <= SETTLED * self._tolerance * f
            if settled:
                break
        self._loss.settle(lengths * self._S + b)
        self._V, self._S, self._b = lengths * self._V, lengths * self._S, b
        if k > 1:
            f = self._take_off_what_columns_share(C)
        return f, settled

    def _take_off_what_columns_share(self, C: float) -> float:
        """Lower f by what changes no probability; return it."""
        self._V = self._V - self._V.mean(axis=1, keepdims=True)
        self._S = self._S - self._S.mean(axis=1, keepdims=True)
        self._b = self._b - self._b.mean()
        squares = squared(self._space, self._V, self._S)
        return self._objective(C, self._S + self._b, squares)

    def _small_step(
        self, C: float, factors: np.ndarray, lengths: np.ndarray, squares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and Newton step by the intercepts and the lengths."""
        residuals, S, k = self._loss.residuals, self._S, self._loss.n_columns
        pull = C * np.einsum("ij,ij->j", residuals, S)
        gradient = np.append(-C * residuals.sum(axis=0), lengths * squares - pull)
        curvature = C * self._loss.curvature(factors)
        curvature.flat[:: 2 * k + 1] += np.append(np.zeros(k), squares + (squares == 0))
        make_definite(curvature[:k, :k])
        return gradient, -solve_definite(curvature, gradient)

    def _newton_step(self, C: float, place: Place) -> None:
        """Move to a lower f, and keep what the step promised to bring."""
        # No more exact than the tolerance asks for.
        least = 0.5 * np.sqrt(self._tolerance / place.gap)
        accuracy = max(least, min(self._coarse, np.sqrt(place.gap)))
        by_rows = self._by_rows and place.gap < NEAR
        V, S, b = self._solver.step(C, place.gradient, accuracy, by_rows)

        def moved(t: float) -> float:
            scores = self._S + t * S
            squares = squared(self._space, self._V + t * V, scores)
            return self._objective(C, scores + (self._b + t * b), squares)

        slope = self._space.dots(V, *place.gradient).sum()
        self._promised = abs(slope) / 2
        t, _ = _backtrack(moved, place.f, slope)
        self._move_to(self._V + t * V, self._b + t * b)


def is_large(n_rows: int, n_columns: int) -> bool:
    """Tell whether a fit is large enough for its speed to be worth the last digits."""
    return n_rows * n_columns > FEW_SCORES


def _backtrack(moved: Callable[[float], float], f: float, slope: float) -> tuple[float, float]:
    """Halve a step until f falls enough (Armijo's rule); 0 if it never does.

    Close to the minimum f falls by less than it is rounded by, while the
    gradient still shrinks: a full step that leaves f as it is counts.
    """
    t = 1.0
    while t >= LEAST_STEP:
        f_moved = moved(t)
        if f_moved <= f + 1e-4 * t * min(slope, 0.0) or (t == 1 and f_moved <= f * (1 + ROUNDING)):
            return t, f_moved
        t /= 2
    return 0.0, f
