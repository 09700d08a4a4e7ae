"""Which way to write down the weights of a search's fits: by rows or by features."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from pyimagesearch.linear.logloss import LogLoss
from pyimagesearch.linear.memory import available_bytes, required_bytes
from pyimagesearch.linear.newton import Point, Solution, SolutionPath
from pyimagesearch.linear.passes import Passes, Rows
from pyimagesearch.linear.spaces import FeatureSpace, RowSpace
from pyimagesearch.utils.split import N_FOLDS

FEW_ROWS = 1000  # their products cost next to nothing, whatever the features are
PASSES = 150  # that a search takes, all folds side by side: some 65 with real features, up to 300
LEAST_COLUMNS = 30  # fewer side by side cost as much: then reading the features takes the time


def by_rows(n_rows: int, n_features: int, n_classes: int, n_jobs: int) -> bool:
    """Tell whether products of the rows cost less than passes over the features, and fit.

    The products cost n^2 d multiplications and each fit's use of them n^2 K, a pass 2 n d K a fold.
    """
    n_columns = max(N_FOLDS * n_classes, LEAST_COLUMNS)
    of_rows = n_rows**2 * (n_features + PASSES * n_columns)
    of_features = PASSES * 2 * n_rows * n_features * n_columns
    if n_rows > FEW_ROWS and of_rows > of_features:
        return False
    there = available_bytes()
    return there is None or required_bytes(n_rows, n_features, n_classes, n_jobs, True) <= there


class Coordinates:
    """What both ways share: the last fit is proven from the features themselves.

    Parameters
    ----------
    rows : Rows
        All rows to train on.
    labels : ndarray of int, shape (n,)
        Their class indices.
    n_classes : int
        K.
    n_fits : int
        How many folds will be fitted at once.
    n_jobs : int
        How many cores to use.
    """

    def __init__(self, rows: Rows, labels: np.ndarray, n_classes: int, n_fits: int, n_jobs: int):
        self.rows, self.labels, self.n_classes = rows, labels, n_classes
        self._n_fits, self._n_jobs = n_fits, n_jobs

    def _all_features(self) -> tuple[FeatureSpace, LogLoss]:
        space = FeatureSpace(Passes(self.rows, 1, self._n_jobs), np.ones(len(self.labels), bool))
        return space, LogLoss(self.labels, self.n_classes)


class RowCoordinates(Coordinates):
    """A fold's fit works on its part of the products of all rows."""

    shares_passes = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._G = self.rows.products()

    @contextlib.contextmanager
    def part(self, train: np.ndarray, stopped: threading.Event) -> Iterator[tuple]:
        """Yield the space and the loss of some of the rows."""
        space = RowSpace(self._G[np.ix_(train, train)], stopped)
        yield space, LogLoss(self.labels[train], self.n_classes)

    def scores(self, point: Point, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Return the scores of other rows: (len(test), K)."""
        a = np.zeros((len(self.labels), self.n_classes))
        a[train] = point.w[0]
        scores = self._G @ a
        return scores[test] - scores[train].mean(axis=0) + point.intercepts

    def mean(self, parts: Sequence[np.ndarray], points: Sequence[Point]) -> tuple:
        """Return the mean of the weights and of the intercepts of several fits."""
        a = np.zeros((len(self.labels), self.n_classes))
        for train, point in zip(parts, points, strict=True):
            a[train] += point.w[0] / len(points)
        return a, np.mean([point.intercepts for point in points], axis=0)

    def fit_all(self, C: float, start: tuple, **options) -> Solution:
        """Fit all rows; the solution is one by features, and so is its gap."""
        a, intercepts = start
        space, loss = RowSpace(self._G), LogLoss(self.labels, self.n_classes)
        start = space.vector(a), intercepts
        fitted = SolutionPath(space, loss, start=start, own_bound=True, **options).solve(C)
        del space, self._G
        w = np.vstack([self.rows.combine(fitted.point.w[0]), np.zeros(self.n_classes)])
        options["max_iter"] = 0
        path = SolutionPath(
            *self._all_features(), start=(w, fitted.point.intercepts), own_bound=True, **options
        )
        proven = path.solve(C)
        return Solution(
            proven.point,
            proven.objective,
            proven.gap,
            fitted.n_iter,
            fitted.elapsed_s + proven.elapsed_s,
        )


class FeatureCoordinates(Coordinates):
    """The fits of all folds share passes over the features, each with its own rows."""

    shares_passes = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._passes = Passes(self.rows, self._n_fits, self._n_jobs)

    @contextlib.contextmanager
    def part(self, train: np.ndarray, stopped: threading.Event) -> Iterator[tuple]:
        """Yield the space and the loss of some of the rows."""
        used = np.zeros(len(self.labels), bool)
        used[train] = True
        try:
            space = FeatureSpace(self._passes, used, stopped)
            yield space, LogLoss(self.labels, self.n_classes, used)
        finally:
            self._passes.leave()

    @staticmethod
    def scores(point: Point, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Return the scores of other rows: (len(test), K)."""
        return point.scores[test] + point.intercepts

    @staticmethod
    def mean(parts: Sequence[np.ndarray], points: Sequence[Point]) -> tuple:
        """Return the mean of the weights and of the intercepts of several fits."""
        w = np.mean([point.w for point in points], axis=0)
        return w, np.mean([point.intercepts for point in points], axis=0)

    def fit_all(self, C: float, start: tuple, **options) -> Solution:
        """Fit all rows."""
        path = SolutionPath(*self._all_features(), start=start, own_bound=True, **options)
        return path.solve(C)
