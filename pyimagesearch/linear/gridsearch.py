"""The grid search over C, on a problem that is much smaller and the same."""

import threading
from collections.abc import Mapping, Sequence

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from pyimagesearch.linear.newton import is_small
from pyimagesearch.linear.products import RowProducts
from pyimagesearch.linear.solutionpath import MAX_ITER, Solution, SolutionPath, is_large
from pyimagesearch.linear.spaces import FeatureSpace, Rotation, RowSpace
from pyimagesearch.utils import InputError
from pyimagesearch.utils.arguments import available_cores

C_GRID = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
N_FOLDS = 3


class RowSpaceGridSearchCV(GridSearchCV):
    """scikit-learn's grid search of LogisticRegression, exact and much faster.

    The candidates, the folds, the scores and the choice are those of
    ``GridSearchCV(LogisticRegression(), param_grid, cv=cv)``. What is fitted
    is the same model in fewer numbers: see `pyimagesearch.linear.spaces` for
    the coordinates, `pyimagesearch.linear.solutionpath` for the solver and
    for what "converged" means.

    Parameters
    ----------
    param_grid : mapping
        ``{"C": [...]}``: inverse strengths of the L2 regularisation.
    cv : int
        Number of stratified folds.
    n_jobs : int
        How many fits run at once, in threads that share the data; -1 for the
        cores this process may use. The result does not depend on it, but
        for rounding.
    tolerance : float, optional
        How far above its minimum the objective of a fit may be, as a part of
        it: see `pyimagesearch.linear.solutionpath.SolutionPath`.
    max_iter : int
        The most Newton steps of one fit, those on the way to its C included.

    Attributes
    ----------
    best_estimator_ : LogisticRegression
        A plain one, fitted to all rows at the best C: it needs nothing but
        scikit-learn. ``coef_`` is float64, (1, d) or (n_classes, d).
    fits_ : dict
        The `Solution` of each fit by (C, fold), and of the last fit, to all
        rows, by (C, None).
    cv_results_, best_params_, best_score_, best_index_
        As `GridSearchCV` has them.
    """

    def __init__(
        self,
        param_grid: Mapping[str, Sequence[float]],
        *,
        cv: int = N_FOLDS,
        n_jobs: int = -1,
        tolerance: float | None = None,
        max_iter: int = MAX_ITER,
    ):
        super().__init__(
            LogisticRegression(), param_grid, cv=cv, n_jobs=n_jobs, error_score="raise"
        )
        self.tolerance = tolerance
        self.max_iter = max_iter

    def fit(self, X: np.ndarray, y: np.ndarray) -> "RowSpaceGridSearchCV":
        """Search the grid, then fit all rows at the best C.

        Parameters
        ----------
        X : ndarray of float32 or float64, shape (n, d)
            Features.
        y : ndarray, shape (n,)
            Classes.

        Returns
        -------
        RowSpaceGridSearchCV
            Itself.

        Raises
        ------
        InputError
            If there is one class only, a class has fewer rows than there are
            folds, or a feature is not finite.
        """
        X, y = np.asarray(X), np.asarray(y)
        check_trainable(y, self.cv)
        check_finite(X)
        jobs = available_cores() if self.n_jobs == -1 else self.n_jobs
        with threadpool_limits(jobs):
            rows = TrainingRows(X, y, self.param_grid["C"], self.tolerance, self.max_iter, jobs)
        estimator, n_jobs = self.estimator, self.n_jobs
        # The fits of one fold follow each other, each beginning where the last one ended.
        # Several fits on a core each beat one fit on several: BLAS threads that wait for
        # one another took ten times as long on a busy machine (2 cores, November 2026).
        # A thread a fold, even on fewer cores: none of them waits for another's turn.
        self.estimator, self.n_jobs = _FitOfRows(rows), 1 if jobs == 1 else self.cv
        try:
            with threadpool_limits(max(1, jobs // self.cv)), joblib.parallel_config("threading"):
                super().fit(np.arange(len(y))[:, None], y)
        finally:
            self.estimator, self.n_jobs = estimator, n_jobs
        self.fits_ = rows.fits
        self.best_estimator_ = rows.plain_model(self.best_estimator_.solution_)
        return self


def check_trainable(y: np.ndarray, n_folds: int, names: Sequence[str] | None = None) -> None:
    """Refuse classes that a classifier cannot be trained and judged on.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Classes; indices into `names` where those are given.
    n_folds : int
        The rows that every class must have at least.
    names : sequence of str, optional
        Names of all classes that should be there.

    Raises
    ------
    InputError
        If there is one class only, or a class has too few rows.
    """
    if names is None:
        names, counts = np.unique(y, return_counts=True)
    else:
        counts = np.bincount(y, minlength=len(names))
    if np.count_nonzero(counts) < 2:
        only = names[int(np.argmax(counts))]
        raise InputError(f"there is one class only ('{only}'): a classifier needs at least two")
    if counts.min() < n_folds:
        few = int(np.argmin(counts))
        raise InputError(
            f"class '{names[few]}' has {counts[few]} of the {len(y):,} rows to train on: "
            f"expected at least {n_folds}, one a fold; add pictures, or remove the class"
        )


def check_finite(X: np.ndarray) -> None:
    """Refuse features that are not numbers, or are infinite.

    Raises
    ------
    InputError
        If any is; it says in how many rows.
    """
    # One number a row, so that no copy of the features is made.
    with np.errstate(all="ignore"):
        sums = np.einsum("ij->i", X, dtype=np.float64)
    wrong = np.count_nonzero(~np.isfinite(sums))
    if wrong:
        raise InputError(
            f"{wrong:,} of {len(X):,} rows hold features that are not finite: extract them again"
        )


class TrainingRows:
    """All rows to train on, and the solutions for those parts of them asked for.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Classes.
    grid : sequence of float
        All C's that will be asked for.
    tolerance, max_iter
        See `RowSpaceGridSearchCV`.
    jobs : int
        How many cores the last fit may use.

    Attributes
    ----------
    fits : dict
        See ``RowSpaceGridSearchCV.fits_``.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        grid: Sequence[float],
        tolerance: float | None,
        max_iter: int,
        jobs: int,
    ):
        self._X, self._grid, self._jobs = X, tuple(grid), jobs
        self._options = {"tolerance": tolerance, "max_iter": max_iter}
        self.classes, self._labels = np.unique(y, return_inverse=True)
        self._rotation = self._products = None
        n_columns = 1 if len(self.classes) == 2 else len(self.classes)
        self._large = is_large(len(X), n_columns)
        if is_small(len(X), min(X.shape) * n_columns):
            self._rotation = Rotation(X)
        elif len(X) < X.shape[1]:
            self._products = RowProducts(X, single=self._large)
        self._paths: dict[bytes, tuple[np.ndarray, SolutionPath]] = {}
        self._lock = threading.Lock()
        self.fits: dict[tuple[float, int | None], Solution] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._labels)

    def __deepcopy__(self, memo: dict) -> "TrainingRows":
        """Stay one object: scikit-learn copies the parameters of its estimators."""
        return self

    def solve(self, rows: np.ndarray, C: float) -> tuple[SolutionPath, Solution]:
        """Fit some of the rows at one C of the grid."""
        with self._lock:
            key = rows.tobytes()
            if key not in self._paths:
                self._paths[key] = rows, self._path(rows, self._grid)
        path = self._paths[key][1]
        return path, path.solve(C)

    def solve_all(self, C: float) -> tuple[SolutionPath, Solution]:
        """Fit all rows at one C, from the mean of the solutions for parts of them."""
        start = self._mean_of_parts(C)
        self._record_parts()
        self._paths.clear()  # makes room for one that is larger
        # The only fit at this time has all cores, if it is large enough to gain by them.
        with threadpool_limits(self._jobs if self._large else 1):
            path = self._path(np.arange(len(self)), (C,), start)
            solution = self.fits[C, None] = path.solve(C)
        return path, solution

    def plain_model(self, fitted: tuple[SolutionPath, Solution]) -> LogisticRegression:
        """Return scikit-learn's own estimator for a solution."""
        path, solution = fitted
        model = LogisticRegression(C=solution.C)
        model.coef_, model.intercept_ = path.model(solution)
        if self._rotation:
            model.coef_, shift = self._rotation.model(model.coef_)
            model.intercept_ += shift
        model.classes_ = self.classes
        model.n_features_in_ = self._X.shape[1]
        model.n_iter_ = np.array([solution.n_iter], np.int32)
        return model

    def _path(self, rows: np.ndarray, grid, start=None) -> SolutionPath:
        if self._products is not None:
            space = RowSpace(self._X, self._products, rows)
        else:
            space = FeatureSpace(self._rotation.rows if self._rotation else self._X, rows)
        labels = self._labels[rows]
        return SolutionPath(space, labels, len(self.classes), grid, start=start, **self._options)

    def _record_parts(self) -> None:
        """Keep the solutions, the folds numbered by the first row that they leave out."""
        parts = sorted(
            self._paths.values(), key=lambda part: np.setdiff1d(np.arange(len(self)), part[0])[0]
        )
        for fold, (_, path) in enumerate(parts):
            for C in self._grid:
                self.fits[C, fold] = path.solve(C)

    def _mean_of_parts(self, C: float) -> tuple[np.ndarray, np.ndarray] | None:
        parts = [(rows, path.solve(C)) for rows, path in self._paths.values()]
        if not parts:
            return None
        intercepts = np.mean([part.intercepts for _, part in parts], axis=0)
        if self._products is None:
            return np.mean([part.coordinates for _, part in parts], axis=0), intercepts
        mean = np.zeros((len(self), len(intercepts)))
        for rows, part in parts:
            mean[rows] += (part.coordinates - part.coordinates.mean(axis=0)) / len(parts)
        return mean, intercepts


class _FitOfRows(ClassifierMixin, BaseEstimator):
    """What `GridSearchCV` fits: its X is the numbers of the rows, (n, 1)."""

    # Slicing and copying numbers of rows costs nothing; the features stay where they are.

    def __init__(self, training: TrainingRows, C: float = 1.0):
        self.training = training
        self.C = C

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_FitOfRows":
        rows = X[:, 0]
        self.classes_ = self.training.classes
        if len(rows) == len(self.training):
            self.solution_ = self.training.solve_all(self.C)
        else:
            self.solution_ = self.training.solve(rows, self.C)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        path, solution = self.solution_
        scores = path.decide(X[:, 0], solution)
        if scores.shape[1] == 1:
            return self.classes_[(scores[:, 0] > 0).astype(int)]
        return self.classes_[scores.argmax(axis=1)]
