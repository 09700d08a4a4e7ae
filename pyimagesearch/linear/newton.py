"""The Newton step of logistic regression: three ways to solve its system.

With scores ``X w + b``, w in coordinates V, the step solves ``V + C bend(X w
+ b) = -gradient``, where `bend` multiplies each row by the second derivative
of its loss, and b is what keeps the sum over the rows at 0.

- Directly, by elimination, where the unknowns are few.
- By rows: the system times the inverse of ``C bend`` is symmetric, and its
  blocks for single rows can be inverted in closed form. Conjugate gradients
  preconditioned with these (a block Jacobi method; the intercepts as
  constraints: Gould, Hribar and Nocedal, "On the solution of equality
  constrained quadratic programming problems arising in optimization", 2001)
  take a few products where rows differ from each other more than they are
  alike, and the minimum is near.
- By weights: plain conjugate gradients on w, which always lead downhill.
  Where the data are so ill-conditioned that this takes many products, they
  are preconditioned with a Cholesky factor.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from pyimagesearch.linear.logloss import LogLoss
from pyimagesearch.linear.spaces import FeatureSpace, Pair, RowSpace

PATIENCE = 12  # products before another way is tried
MAX_PRODUCTS = 100  # products in all before conjugate gradients are given up
SMALL = 2e9  # multiplications, some hundredths of a second: what is solved directly
ROW_MARGIN = 0.3  # what is left by rows weighs less than what is left of the gradient
LEAST_CURVATURE = 1e-300  # where even the sum of all is nothing
RIDGES = (1e-12, 1e-9, 1e-6, 1e-3)  # of a matrix scaled to a diagonal of 1


class NewtonSolver:
    """Newton steps at the place where a loss was settled last.

    Parameters
    ----------
    space : RowSpace or FeatureSpace
        The rows that are fitted.
    loss : LogLoss
        Their loss.
    """

    def __init__(self, space: RowSpace | FeatureSpace, loss: LogLoss):
        self._space, self._loss = space, loss
        n_rows, n_unknowns = len(loss.residuals), space.n_coordinates * loss.n_columns
        self.direct = isinstance(space, FeatureSpace) and is_small(n_rows, n_unknowns)
        self._precondition = lambda V, scores: (V, scores)

    def step(
        self, C: float, gradient: Pair, accuracy: float, by_rows: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Solve for the Newton step.

        Parameters
        ----------
        C : float
            Inverse strength of the regularisation.
        gradient : pair of ndarray
            Coordinates of the gradient, and its scores.
        accuracy : float
            What may be left of the gradient, as a part of it.
        by_rows : bool
            Whether to try that way first.

        Returns
        -------
        tuple of ndarray
            The step's coordinates (n_coordinates, k), its scores (n, k) and
            the change of the intercepts (k,).
        """
        if self.direct:
            V = self._directly(C, gradient[0])
            S = self._space.scores(V)
        else:
            solved = self._by_rows(C, gradient, accuracy) if by_rows else None
            V, S = solved or self._by_weights(C, gradient, accuracy)
        return V, S, self._intercepts()(self._loss.bend(S))

    def _intercepts(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function: the change of the intercepts that answers bent scores."""
        n_rows = len(self._loss.residuals)
        curvature = self._loss.curvature(np.ones((n_rows, 1, 1)))
        make_definite(curvature)
        inverse = np.linalg.inv(curvature)
        return lambda bent: -(inverse @ bent.sum(axis=0))

    def _bend(self, C: float) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function: what the curvature of the loss makes of scores, in coordinates."""
        intercepts = self._intercepts()

        def bend(scores: np.ndarray) -> np.ndarray:
            bent = self._loss.bend(scores)
            answer = np.broadcast_to(intercepts(bent), bent.shape)
            return self._space.combine(C * (bent + self._loss.bend(answer)))

        return bend

    def _by_rows(self, C: float, gradient: Pair, accuracy: float) -> Pair | None:
        """Solve by the rows, in the precision of the scores; None if that leads nowhere."""
        dtype = gradient[1].dtype
        precondition = self._inverse_blocks(C, dtype)
        # Begun with the step that would be right if all scores were 0.
        V, S, rest = -gradient[0].astype(dtype), -gradient[1], gradient[1]
        direction, unbent = precondition(rest)
        fitness = first = np.vdot(rest, direction)
        for _ in range(PATIENCE):
            scores = self._space.scores(direction)
            image = unbent + scores
            bending = np.vdot(direction, image)
            if not bending > 0:  # rounding has the better of it
                return None
            length = fitness / bending
            V, S, rest = V + length * direction, S + length * scores, rest - length * image
            better, better_unbent = precondition(rest)
            fitness_before, fitness = fitness, np.vdot(rest, better)
            if fitness <= ROW_MARGIN * accuracy**2 * first:
                V = self._space.combine(V.astype(np.float64))
                return (V, S) if np.vdot(V, gradient[1]) < 0 else None
            ratio = fitness / fitness_before
            direction, unbent = better + ratio * direction, better_unbent + ratio * unbent
        return None

    def _inverse_blocks(self, C: float, dtype: type) -> Callable[[np.ndarray], Pair]:
        """Return a function: the product with the inverse blocks, and (C bend)^-1 times that."""
        blocks = self._loss.inverse_blocks(C * self._space.squared_rows(), dtype)
        sums = C * blocks.sum()
        make_definite(sums)
        sums = cho_factor(sums)

        def apply(rest: np.ndarray) -> Pair:
            product, _ = blocks.apply(rest)
            intercepts = cho_solve(sums, C * product.sum(axis=0, dtype=np.float64))
            product, unbent = blocks.apply(rest - intercepts.astype(dtype))
            return C * product, unbent

        return apply

    def _by_weights(self, C: float, gradient: Pair, accuracy: float) -> Pair:
        """Solve by the weights, as well as it goes."""
        space, bend = self._space, self._bend(C)
        rest = -gradient[0], -gradient[1]
        step = np.zeros_like(rest[0]), np.zeros_like(rest[1])
        fitness, least = 1.0, squared(space, *rest)
        best, goal = step, accuracy**2 * least
        for n_products in range(MAX_PRODUCTS):
            if n_products == PATIENCE:
                self._precondition = space.preconditioner(C * self._loss.mean_weights())
            better = self._precondition(*rest)
            fitness_before, fitness = fitness, space.dots(rest[0], *better).sum()
            if n_products in (0, PATIENCE):
                direction = better
            else:
                ratio = fitness / fitness_before
                direction = tuple(x + ratio * y for x, y in zip(better, direction, strict=True))
            image = direction[0] + bend(direction[1])
            bending = space.dots(image, *direction).sum()
            if not bending > 0:  # rounding has the better of it
                break
            length = fitness / bending
            step = tuple(x + length * y for x, y in zip(step, direction, strict=True))
            rest = rest[0] - length * image, rest[1] - length * space.scores(image)
            left = squared(space, *rest)
            if left <= least:
                best, least = step, left
            if left <= goal:
                break
        return best

    def _directly(self, C: float, gradient: np.ndarray) -> np.ndarray:
        """Solve for the weights and the intercepts at once, by elimination."""
        X, k = self._space.rows(), gradient.shape[1]
        with_ones = np.hstack([X, np.ones((len(X), 1))])[:, :, None]
        system = C * self._loss.curvature(with_ones)
        make_definite(system[-k:, -k:])
        system.flat[: gradient.size * (len(system) + 1) : len(system) + 1] += 1
        target = np.append(gradient, -C * self._loss.residuals.sum(axis=0))
        return -solve_definite(system, target)[:-k].reshape(gradient.shape)


def is_small(n_rows: int, n_unknowns: int) -> bool:
    """Tell whether Newton's system is small enough to be solved by elimination."""
    return n_rows * n_unknowns**2 <= SMALL


def squared(space: RowSpace | FeatureSpace, V: np.ndarray, scores: np.ndarray) -> float:
    """Return the squared length of w."""
    return float(np.maximum(space.dots(V, V, scores), 0).sum())


def make_definite(curvature: np.ndarray) -> None:
    """Bend a curvature by intercepts upwards where it is flat, in place.

    It is flat where all intercepts grow alike, and all but flat for classes
    that are judged surely. The step changes by that, its goal does not.
    """
    k, trace = len(curvature), np.trace(curvature)
    if k > 1:
        curvature += trace / k**2
    curvature.flat[:: k + 1] += max(1e-12 * trace, LEAST_CURVATURE)


def solve_definite(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solve a small positive definite system, however its unknowns are scaled."""
    scaling = np.sqrt(np.diag(matrix))
    matrix = matrix / scaling / scaling[:, None]
    for ridge in RIDGES:
        try:
            factor = cho_factor(matrix + ridge * np.eye(len(matrix)))
        except np.linalg.LinAlgError:  # rounding has made it indefinite
            continue
        return cho_solve(factor, target / scaling) / scaling
    return target / scaling**2  # still downhill
