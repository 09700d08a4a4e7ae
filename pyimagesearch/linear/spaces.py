"""Two ways to write down the weights of a linear model: by its rows, or by their features.

The minimum of an L2-regularised objective is a combination of the centred rows, ``w = X^T a``. With
few rows of many features it is found in the coordinates a, from the products ``X X^T`` alone; with
many rows, in w itself, and the features are passed over in blocks where they lie. Both spaces give
the solver the same operations; a vector of theirs is an array to add and to scale:

- `RowSpace`: (2, n, K), the coordinates a and the scores X w, so that lengths need no product;
- `FeatureSpace`: (d + 1, K), w and the intercepts.

Rows are centred and scaled to a mean squared length of 1. So single precision is safe at any scale,
and an intercept is one more feature, always 1, to a Newton step.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from pyimagesearch.linear.corrections import SUPPORT, Corrections, supports
from pyimagesearch.linear.logloss import Curvature, LogLoss
from pyimagesearch.linear.passes import Passes, Request

MOST_FEATURES = 2500  # whose products with each other take less time than a few passes
PIECE = 256  # rows that are picked at a time


def check_not_stopped(stopped: threading.Event) -> None:
    """End a fit that nobody waits for any more."""
    if stopped.is_set():
        raise CancelledError


class RowSpace:
    """Weights as a combination of the rows that are fitted.

    Parameters
    ----------
    G : ndarray of float64, shape (n, n)
        Products of these rows with each other; is centred in place.
    stopped : threading.Event, optional
        Set by another thread, it ends the fit with `CancelledError`.
    """

    def __init__(self, G: np.ndarray, stopped: threading.Event | None = None):
        mean = G.mean(axis=0)
        G -= mean[:, None]
        G -= mean - mean.mean()
        self._stopped = stopped or threading.Event()
        self._G, self._support, self._exact = G, min(len(G), SUPPORT), False
        self._fast = G.astype(np.float32)
        self._fast += 1  # the intercepts' feature

    def zeros(self, n_classes: int) -> np.ndarray:
        """Return the vector of no weights."""
        return np.zeros((2, len(self._G), n_classes))

    def vector(self, a: np.ndarray) -> np.ndarray:
        """Return the vector of some coordinates, (n, K) -> (2, n, K)."""
        a = a - a.mean(axis=0)  # the rows are centred: it is the same vector
        return np.stack([a, self._G @ a])

    def cast(self, array: np.ndarray) -> np.ndarray:
        """Return an array in the precision of the systems that are solved now."""
        return array.astype(self._fast.dtype, copy=False)

    @staticmethod
    def dot(u: np.ndarray, v: np.ndarray) -> float:
        """Return the product of the weights of two vectors."""
        return float(np.vdot(u[0], v[1]))

    @staticmethod
    def scores(w: np.ndarray) -> np.ndarray:
        """Return the scores of the rows, (n, K)."""
        return w[1]

    def refresh(self, point):
        """Return a point with its scores computed anew: sums of sums have drifted."""
        w = self.vector(point.w[0])
        return point._replace(w=w, scores=w[1])

    def gradient(self, point, C: float, loss: LogLoss) -> np.ndarray:
        """Return the gradient of f by the weights, where the intercepts are at their best."""
        slope = loss.residuals(point.scores, point.intercepts, slice(None))
        return self.vector(point.w[0] + C * slope)

    def step(self, solved: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a step in double precision, its scores, and the change of the intercepts."""
        a = solved[0].astype(np.float64)
        u = self.vector(a)
        return u, u[1], a.sum(axis=0)

    def hessian_product(self, curvature: Curvature, v: np.ndarray) -> np.ndarray:
        """Multiply by the Hessian of f."""
        check_not_stopped(self._stopped)
        bent = curvature(v[1])
        return v + np.stack([bent, self._fast @ bent])

    def preconditioner(self, curvature: Curvature) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function: the product with nearly the inverse of the Hessian."""
        rows = supports(curvature, np.diag(self._fast), self._support)
        correct = Corrections(
            curvature.weights(rows, self._exact),
            rows,
            lambda of_class: self._fast[np.ix_(of_class, of_class)],
            len(self._G),
            self._exact,
        )

        def apply(v: np.ndarray) -> np.ndarray:
            correction = correct(v[1])
            return v - np.stack([correction, self._fast @ correction])

        return apply

    def ridge(self, targets: np.ndarray, ridge: float) -> np.ndarray:
        """Return the coordinates of ridge regression, (1, n, K)."""
        system = self._fast.copy()
        system.flat[:: len(system) + 1] += ridge
        factor = cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
        return cho_solve(factor, targets.astype(np.float32))[None]

    def work_harder(self) -> None:
        """Let more rows matter, in double precision, and correct for what couples the classes."""
        self._support = min(len(self._G), 2 * self._support)
        self._exact = self._fast.dtype == np.float64
        if not self._exact:
            self._fast = self._G + 1


class FeatureSpace:
    """Weights as they are, one a feature.

    Parameters
    ----------
    passes : Passes
        Over the features.
    used : ndarray of bool, shape (n,)
        Which rows are fitted.
    stopped : threading.Event, optional
        See `RowSpace`.
    """

    def __init__(self, passes: Passes, used: np.ndarray, stopped: threading.Event | None = None):
        self._stopped = stopped or threading.Event()
        self._passes, self._used, self._rows = passes, used, passes.rows
        self._all = np.ones_like(used)
        self._support, self._dtype, self._exact = SUPPORT, np.float32, False

    def zeros(self, n_classes: int) -> np.ndarray:
        """Return the vector of no weights."""
        return np.zeros((self._rows.shape[1] + 1, n_classes))

    def cast(self, array: np.ndarray) -> np.ndarray:
        """Return an array in the precision of the systems that are solved now."""
        return array.astype(self._dtype, copy=False)

    @staticmethod
    def dot(u: np.ndarray, v: np.ndarray) -> float:
        """Return the product of the weights of two vectors."""
        return float(np.vdot(u, v))

    def scores(self, w: np.ndarray, used: np.ndarray | None = None) -> np.ndarray:
        """Return the scores of the rows that are used, by default all: (n, K)."""
        found = np.zeros((len(self._used), w.shape[1]))
        if not w.any():
            return found

        def keep(rows: slice, scores: np.ndarray) -> None:
            found[rows] = scores

        self._passes.run(Request(w[:-1], keep, np.float64, self._all if used is None else used))
        return found

    def refresh(self, point):
        """Return a point with its scores computed anew: sums of sums have drifted."""
        return point._replace(scores=self.scores(point.w))

    def gradient(self, point, C: float, loss: LogLoss) -> np.ndarray:
        """Return the gradient of f by the weights, where the intercepts are at their best."""

        def slope(rows: slice, _) -> np.ndarray:
            return C * loss.residuals(point.scores, point.intercepts, rows)

        found = point.w.copy()
        found[:-1] += self._passes.run(Request(None, slope, np.float64, self._used))
        return found

    def step(self, solved: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a step in double precision, its scores, and the change of the intercepts."""
        u = solved.astype(np.float64)
        intercepts, u[-1] = u[-1].copy(), 0
        return u, self.scores(u, self._used), intercepts

    def hessian_product(self, curvature: Curvature, v: np.ndarray) -> np.ndarray:
        """Multiply by the Hessian of f."""
        check_not_stopped(self._stopped)
        sums = []  # what each block gives to the intercepts

        def bend(rows: slice, scores: np.ndarray) -> np.ndarray:
            bent = curvature(scores + v[-1], rows)
            sums.append(bent.sum(axis=0))
            return bent

        found = v.copy()
        found[:-1] += self._passes.run(Request(v[:-1], bend, self._dtype, self._used))
        found[-1] += sum(sums)
        return found

    def preconditioner(self, curvature: Curvature) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function: the product with nearly the inverse of the Hessian."""
        rows = supports(curvature, self._rows.squares + 1, self._support)
        union = np.unique(np.concatenate(rows))
        X = np.empty((len(union), self._rows.shape[1] + 1), self._dtype)
        for i in range(0, len(union), PIECE):
            piece = self._rows.centred(union[i : i + PIECE], self._dtype)
            X[i : i + PIECE, :-1] = self._rows.scale * piece
        X[:, -1] = 1
        correct = Corrections(
            curvature.weights(rows, self._exact),
            [np.searchsorted(union, of_class) for of_class in rows],
            lambda places: X[places] @ X[places].T,
            len(union),
            self._exact,
        )
        return lambda v: v - X.T @ correct(X @ v)

    def ridge(self, targets: np.ndarray, ridge: float) -> np.ndarray | None:
        """Return the vector of ridge regression, or None where its system is large."""
        n_features = self._rows.shape[1]
        if n_features > MOST_FEATURES:
            return None
        system, right = np.zeros((n_features + 1,) * 2), 0.0
        for rows in self._rows.blocks():
            X = np.ones((rows.stop - rows.start, n_features + 1), np.float32)
            X[:, :-1] = self._rows.scale * self._rows.centred(rows, np.float32)
            X *= self._used[rows, None]
            system += X.T @ X
            right = right + X.T @ targets[rows]
        system.flat[:: n_features + 2] += ridge
        factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
        return cho_solve(factor, right)

    def work_harder(self) -> None:
        """Let more rows matter, in double precision."""
        self._support, self._dtype = 2 * self._support, np.float64
