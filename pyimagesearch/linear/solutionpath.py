"""The optimum of logistic regression for one C after another, certified.

A truncated Newton method (Nash, "A survey of truncated-Newton methods", 2000)
minimises ``f(w) = C * sum of log losses + |w|^2 / 2``. Three things make it
fast and safe here:

- Each optimum is found from that of the next smaller C. Before each step the
  length of w and the intercepts are optimised by themselves, which needs no
  product with the data: between two C's of separable classes, hardly more
  than the length of w changes.
- The inner system is solved by conjugate gradients, as exactly as the step
  deserves. Where the data are so ill-conditioned that this takes many
  products, it is preconditioned with a Cholesky factor.
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

import numpy as np

from pyimagesearch.linear.logloss import LogLoss
from pyimagesearch.linear.spaces import FeatureSpace, RowSpace

TOLERANCE = 1e-6  # of f, by the bound; what is left is mostly far smaller
FINE_TOLERANCE = 1e-9  # where it costs little
FEW_SCORES = 100_000  # rows times columns
MAX_ITER = 200  # Newton steps
PATIENCE = 12  # products of conjugate gradients before they are preconditioned anew
MAX_PRODUCTS = 100  # products in all before conjugate gradients are given up
COARSE = 0.5  # relative accuracy of a Newton step far from the minimum
MAX_UNKNOWNS = 3000  # what is small enough to be solved directly then
LEAST_STEP = 1e-10
ROUNDING = 1e-14  # relative, of an objective


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
        of up to 100,000 scores.
    max_iter : int
        The most Newton steps for one C.
    start : tuple of ndarray, optional
        Coordinates and intercepts to begin with, in place of 0.
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
        k = self._loss.n_columns
        self._large = len(labels) * k > FEW_SCORES
        usual = TOLERANCE if self._large else FINE_TOLERANCE
        self._tolerance = usual if tolerance is None else tolerance
        self._grid, self._max_iter = sorted(grid), max_iter
        self._n_rows, self._lock = len(labels), threading.Lock()
        self._solutions: dict[float, Solution] = {}
        self._precondition = lambda V, scores: (V, scores)
        self._V, self._b = start or (np.zeros((space.n_coordinates, k)), np.zeros(k))
        self._S = space.scores(self._V)

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
        least_gap = least_f = np.inf
        for n_iter in range(self._max_iter + 1):
            f = self._optimise_length_and_intercepts(C)
            residuals = self._space.combine(C * self._loss.residuals)
            gradient = self._V - residuals, self._S - self._space.scores(residuals)
            bound = self._squared(*gradient) / 2
            gap = bound / f if f > 0 else 0.0
            stuck = gap > 0.9 * least_gap and f > (1 - ROUNDING) * least_f
            if stuck:
                gap = min(gap, self._promised / f)
            converged = bool(gap <= self._tolerance)
            if converged or stuck or n_iter == self._max_iter:
                break
            least_gap, least_f = min(gap, least_gap), min(f, least_f)
            self._newton_step(C, f, gradient, gap)
        elapsed_s = time.perf_counter() - started
        return Solution(C, self._V, self._b, f, gap, n_iter, converged, elapsed_s)

    def _objective(self, C: float, S: np.ndarray, squared: float) -> float:
        return C * self._loss.value(S) + squared / 2

    def _squared(self, V: np.ndarray, scores: np.ndarray) -> float:
        return max(0.0, self._space.dot(V, V, scores))

    def _optimise_length_and_intercepts(self, C: float) -> float:
        """Minimise f over the factor of w and the intercepts; return it.

        That has one dimension more than there are columns, and is a Newton
        method without products of the size of the data.
        """
        squared = self._squared(self._V, self._S)
        length, b = 1.0, self._b
        f = self._objective(C, self._S + b, squared)
        for _ in range(self._max_iter):
            self._loss.settle(length * self._S + b)
            gradient, step = self._small_step(C, length, squared)
            if step is None:
                break

            def moved(t: float, length=length, b=b, step=step) -> float:
                scores = (length + t * step[-1]) * self._S + (b + t * step[:-1])
                return self._objective(C, scores, (length + t * step[-1]) ** 2 * squared)

            t, f_moved = _backtrack(moved, f, gradient @ step)
            if t == 0:
                break
            length, b, f = length + t * step[-1], b + t * step[:-1], f_moved
        self._V, self._S = length * self._V, length * self._S
        self._b = b - b.mean() if len(b) > 1 else b  # softmax knows differences only
        return f

    def _small_step(
        self, C: float, length: float, squared: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return gradient and Newton step by the intercepts and the length."""
        residuals, S = self._loss.residuals, self._S
        pull = C * np.vdot(residuals, S)
        gradient = np.append(-C * residuals.sum(axis=0), length * squared - pull)
        scale = np.append(C * np.abs(residuals).sum(axis=0), length * squared + abs(pull))
        if (np.abs(gradient) <= 1e-10 * scale).all():
            return gradient, None
        bent = self._loss.bend(S)
        k = len(gradient) - 1
        curvature = np.empty((k + 1, k + 1))
        curvature[:k, :k] = C * self._loss.intercept_curvature()
        curvature[:k, k] = curvature[k, :k] = C * bent.sum(axis=0)
        curvature[k, k] = C * np.vdot(S, bent) + squared + (squared == 0)
        _make_definite(curvature[:k, :k], C * self._n_rows)
        scaling = np.sqrt(np.diag(curvature))
        values, vectors = np.linalg.eigh(curvature / scaling / scaling[:, None])
        values = np.maximum(values, 1e-13)
        return gradient, -(vectors @ ((vectors.T @ (gradient / scaling)) / values)) / scaling

    def _newton_step(
        self, C: float, f: float, gradient: tuple[np.ndarray, np.ndarray], gap: float
    ) -> None:
        """Move to a lower f, and keep what the step promised to bring."""
        curvature = self._loss.intercept_curvature()
        _make_definite(curvature, self._n_rows)
        inverse = np.linalg.inv(curvature)

        def intercepts(bent: np.ndarray) -> np.ndarray:
            """Return the change of the intercepts that answers a change of scores."""
            return -(inverse @ bent.sum(axis=0))

        def bend(scores: np.ndarray) -> np.ndarray:
            bent = self._loss.bend(scores)
            answer = np.broadcast_to(intercepts(bent), bent.shape)
            return self._space.combine(C * (bent + self._loss.bend(answer)))

        # As exact as the step can use, and no more than the tolerance asks for.
        accuracy = max(0.5 * np.sqrt(self._tolerance / gap), min(COARSE, np.sqrt(gap)))
        V, reached = None, False
        if self._large:
            # Single precision is half the work, and mostly exact enough for this.
            rough = self._space.rough_scores
            V, reached = self._conjugate_gradients(C, bend, gradient, accuracy, rough, PATIENCE)
        if not reached:
            V, reached = self._conjugate_gradients(C, bend, gradient, accuracy, self._space.scores)
        if not reached and V.size <= MAX_UNKNOWNS:
            V = self._solve_directly(bend, gradient[0])
        S = self._space.scores(V)
        b = intercepts(self._loss.bend(S))

        def moved(t: float) -> float:
            scores = self._S + t * S
            squared = self._squared(self._V + t * V, scores)
            return self._objective(C, scores + (self._b + t * b), squared)

        slope = self._space.dot(V, *gradient)
        self._promised = abs(slope) / 2
        t, _ = _backtrack(moved, f, slope)
        self._V, self._S, self._b = self._V + t * V, self._S + t * S, self._b + t * b

    def _conjugate_gradients(
        self,
        C: float,
        bend: Callable[[np.ndarray], np.ndarray],
        gradient: tuple[np.ndarray, np.ndarray],
        accuracy: float,
        scores: Callable[[np.ndarray], np.ndarray],
        max_products: int = MAX_PRODUCTS,
    ) -> tuple[np.ndarray, bool]:
        """Solve for the Newton step: (identity + bend) step = -gradient.

        Return the best step there was, and whether it is as exact as asked.
        """
        space = self._space
        rest = -gradient[0], -gradient[1]
        step, fitness = np.zeros_like(rest[0]), 1.0
        least = self._squared(*rest)
        best, goal = step, accuracy**2 * least
        for n_products in range(max_products):
            if n_products == PATIENCE:
                self._precondition = space.preconditioner(C * self._loss.mean_weights())
            better = self._precondition(*rest)
            fitness_before, fitness = fitness, space.dot(rest[0], *better)
            if n_products in (0, PATIENCE):
                direction = better
            else:
                ratio = fitness / fitness_before
                direction = tuple(x + ratio * y for x, y in zip(better, direction, strict=True))
            image = direction[0] + bend(direction[1])
            bending = space.dot(image, *direction)
            if not bending > 0:  # rounding has the better of it
                break
            length = fitness / bending
            step = step + length * direction[0]
            rest = rest[0] - length * image, rest[1] - length * scores(image)
            left = self._squared(*rest)
            if left <= least:
                best, least = step, left
            if left <= goal:
                return best, True
        return best, False

    def _solve_directly(
        self, bend: Callable[[np.ndarray], np.ndarray], gradient: np.ndarray
    ) -> np.ndarray:
        """Solve for the Newton step by elimination: exact, but for few unknowns only.

        Pictures that are there twice, in different classes, can make the
        system too ill-conditioned for conjugate gradients.
        """
        system = np.empty((gradient.size, gradient.size))
        for column, unit in zip(system.T, np.eye(gradient.size), strict=True):
            V = unit.reshape(gradient.shape)
            column[:] = (V + bend(self._space.scores(V))).ravel()
        return -np.linalg.solve(system, gradient.ravel()).reshape(gradient.shape)


def _make_definite(curvature: np.ndarray, scale: float) -> None:
    """Bend a curvature upwards where it is flat, in place.

    It is flat where all intercepts grow alike, and where every row is judged
    surely. The step changes by that, its goal does not.
    """
    k = len(curvature)
    if k > 1:
        curvature += np.trace(curvature) / k**2
    curvature.flat[:: k + 1] += 1e-12 * scale


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
