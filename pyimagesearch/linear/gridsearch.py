"""The grid search over C of scikit-learn's logistic regression: the same optima, found faster."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from pyimagesearch.linear.solver import (
    COPY_BYTES,
    MAX_ITER,
    Fits,
    Rows,
    Solution,
    centred,
    in_row_space,
    reordered,
    row_space_is_cheaper,
    to_feature_weights,
)
from pyimagesearch.utils import InputError

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

C_GRID = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
# Gaps, as fractions of the objective. At 1e-2, 31 of 39,042 predictions for the folds of pooled
# CALTECH-101 differ from those at 1e-5; at 1e-3, 20 do (benchmarks/README.md).
TOLERANCE = 1e-2
LAST_TOLERANCE = 1e-3  # of the model that is kept


@dataclass(frozen=True)
class Fit:
    """One fit of logistic regression.

    Attributes
    ----------
    C : float
        Inverse strength of the regularisation.
    fold : int or None
        The fold left out; None for the last fit, to all rows.
    accuracy : float or None
        Of the fold left out; of a balanced search the balanced one, the mean over its classes.
    objective : float
        C times the sum of the log losses, and half the squared weights, as in scikit-learn.
    gap : float
        Proven bound on how far above its minimum the objective is, as a fraction of it.
    n_iter : int
        Newton steps taken.
    converged : bool
        Whether the gap is within the tolerance.
    elapsed_s : float
        Seconds it took, together with the other folds at this C.
    """

    C: float
    fold: int | None
    accuracy: float | None
    objective: float
    gap: float
    n_iter: int
    converged: bool
    elapsed_s: float


@dataclass(frozen=True)
class GridSearch:
    """What a grid search found.

    Attributes
    ----------
    grid : tuple of float
        The C's, in the order given, each once.
    best_C : float
        The C of the best mean accuracy; of several, the first.
    fits : list of Fit
        The folds at the first C, at the second and so on; then the last fit, to all rows.
    model : LogisticRegression
        scikit-learn's own, as that last fit left it. ``coef_`` is float64, (1, d) for two classes,
        else (K, d).
    held_out_scores : ndarray of float32, shape (n, K)
        Of each row at the best C, by the fit that did not see it: their softmax are probabilities.
        -inf for a class that this fit had no row of; NaN in a row that no fold left out.
    balanced : bool
        Whether each class counts as much as any other, in the fits and in their accuracies.
    """

    grid: tuple[float, ...]
    best_C: float  # noqa: N815 - C is scikit-learn's name
    fits: list[Fit]
    model: "LogisticRegression"
    held_out_scores: np.ndarray
    balanced: bool = False

    def held_out_scores_of(self, n_classes: int) -> np.ndarray:
        """Return them for all classes, float64: -inf for a class that no row trained."""
        scores = np.full((len(self.held_out_scores), n_classes), -np.inf)
        scores[:, self.model.classes_] = self.held_out_scores
        return scores


def grid_search(
    X: np.ndarray,
    y: np.ndarray,
    grid: Sequence[float],
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
    n_jobs: int = 1,
    tolerance: float = TOLERANCE,
    max_iter: int = MAX_ITER,
    advance: Callable[[], object] = lambda: None,
    balanced: bool = False,
) -> GridSearch:
    """Fit every fold at every C, then all rows at the C of the best mean accuracy.

    Candidates, scores and choice are those of ``GridSearchCV(LogisticRegression(), {"C": grid},
    cv=folds)``, with every fit run to a proven distance from its minimum. A class of which a fold
    has no row to train on is not predicted there.

    Parameters
    ----------
    X : ndarray or memmap of float32 or float64, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Classes.
    grid : sequence of float
        The C's.
    folds : iterable of (ndarray of int, ndarray of int)
        Rows to train on and rows to test on, as scikit-learn's splitters yield them.
    n_jobs : int
        How many cores to use, by threads that share the data. The result does not depend on it,
        except for rounding.
    tolerance : float
        The proven gap at which a fit has converged. That of the last fit is `LAST_TOLERANCE`, if
        that is less.
    max_iter : int
        The most Newton steps of one fit.
    advance : callable
        Called without arguments after each fit.
    balanced : bool
        Weigh rows as ``LogisticRegression(class_weight="balanced")`` does, and choose C as
        ``GridSearchCV(scoring="balanced_accuracy")`` does.

    Returns
    -------
    GridSearch

    Raises
    ------
    InputError
        If there is one class only, or a feature is not finite.
    """
    require_two_classes(y)
    classes, labels = np.unique(y, return_inverse=True)
    grid, folds = tuple(dict.fromkeys(grid)), list(folds)
    last_tolerance = min(tolerance, LAST_TOLERANCE)
    fits: dict[float, list[Fit]] = {}

    def mean_accuracy(C: float) -> float:
        return float(np.mean([fit.accuracy for fit in fits[C]]))

    with ThreadPoolExecutor(n_jobs) as pool, threadpool_limits(1):  # a thread of ours for each core
        problem = Problem(centred(X, len(classes), pool, n_jobs), labels, folds, max_iter, balanced)
        path = problem.fits([train for train, _ in problem.folds])
        for C in sorted(grid):
            found, fits[C] = path.solve(problem.strength(C), tolerance), []
            scores = problem.held_out_scores(found)
            for fold, solution in enumerate(found):
                accuracy = problem.accuracy(scores, fold)
                fits[C].append(problem.record(C, solution, tolerance, fold, accuracy))
                advance()
            if max((C for C in grid if C in fits), key=mean_accuracy) == C:  # the best so far
                best_C, best_scores = C, scores
                best_w = np.mean([solution.point.w for solution in found], axis=0)
        last = problem.fit_all(best_C, last_tolerance, sorted(grid), best_w)
        advance()
    recorded = [fit for C in grid for fit in fits[C]]
    recorded.append(problem.record(best_C, last, last_tolerance))
    model = plain_model(best_C, classes, last, problem.rows)
    model.class_weight = "balanced" if balanced else None
    return GridSearch(grid, best_C, recorded, model, problem.as_given(best_scores), balanced)


class Problem:
    """The rows of a search, in the coordinates and the order that they are fitted in.

    Attributes
    ----------
    rows : Rows
        As they were given.
    labels : ndarray of int, shape (n,)
        In the order of the fits.
    folds : list of (ndarray of bool, ndarray of bool), each of shape (n,)
        Rows to train on and rows to test on, in the order of the fits.
    """

    def __init__(
        self,
        rows: Rows,
        labels: np.ndarray,
        folds: Sequence,
        max_iter: int,
        balanced: bool = False,
    ):
        self.rows, self._max_iter, self._labels = rows, max_iter, labels
        self._balanced = balanced
        self._space, self._order = in_coordinates(rows, [test for _, test in folds])
        self.labels = labels[self._order]
        self.folds = [tuple(np.isin(self._order, part) for part in fold) for fold in folds]

    def strength(self, C: float) -> float:
        """Return the C for scaled rows."""
        return C / self.rows.scale**2

    def fits(self, parts: Sequence[np.ndarray]) -> Fits:
        """Return a fit to each of some parts of the rows, (n,) bool each."""
        weights = [row_weights(self.labels, part, self._balanced) for part in parts]
        return Fits(self._space, self.labels, weights, self._max_iter)

    def fit_all(self, C: float, tolerance: float, grid: Sequence[float], w: np.ndarray) -> Solution:
        """Fit all rows, beginning at weights (K, d + 1); return the solution by features."""
        every = np.ones(len(self.labels), bool)
        (found,) = self.fits([every]).solve(self.strength(C), tolerance, [w])
        if found.gap > tolerance:  # the folds' solutions are a bad start
            path = self.fits([every])
            for smaller_C in [smaller_C for smaller_C in grid if smaller_C <= C]:
                (again,) = path.solve(self.strength(smaller_C), tolerance)
            found = min(found, again, key=lambda solution: solution.gap)
        if self._space is self.rows:
            return found
        # Found in row space, or on rounded copies: prove it on the features.
        w = found.point.w
        if self._space.lower:
            w = to_feature_weights(w, self._space, self.rows, self._order)
        weights = [row_weights(self._labels, every, self._balanced)]
        (proven,) = Fits(self.rows, self._labels, weights).bound(self.strength(C), [w])
        return proven._replace(n_iter=found.n_iter, elapsed_s=found.elapsed_s)

    def held_out_scores(self, found: Sequence[Solution]) -> np.ndarray:
        """Return the scores of each row by the fit that did not see it: (K, n) float32."""
        scores = np.full((self.rows.n_classes, len(self.labels)), np.nan, np.float32)
        for solution, (train, test) in zip(found, self.folds, strict=True):
            scores[:, test] = solution.point.scores[:, test]
            absent = np.setdiff1d(self.labels, self.labels[train])
            scores[np.ix_(absent, test)] = -np.inf
        return scores

    def accuracy(self, scores: np.ndarray, fold: int) -> float:
        """Return the share of a fold's rows whose largest score is that of their class.

        Of a balanced search, the mean of the shares of the classes.
        """
        _, test = self.folds[fold]
        labels, right = self.labels[test], scores[:, test].argmax(axis=0) == self.labels[test]
        if not self._balanced:
            return float(np.mean(right))
        return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))

    def as_given(self, scores: np.ndarray) -> np.ndarray:
        """Return scores (K, n) for rows in the order that they were given in: (n, K)."""
        given = np.empty_like(scores.T)
        given[self._order] = scores.T
        return given

    def record(
        self,
        C: float,
        found: Solution,
        tolerance: float,
        fold: int | None = None,
        accuracy: float | None = None,
    ) -> Fit:
        """Return what is kept of a fit, in scikit-learn's terms."""
        labels = self.labels if fold is None else self.labels[self.folds[fold][0]]
        gap = min(found.gap, 1.0)
        return Fit(
            C=C,
            fold=fold,
            accuracy=accuracy,
            objective=self.rows.scale**2 * penalty_factor(labels) * found.objective,
            gap=gap,
            n_iter=found.n_iter,
            converged=bool(gap <= tolerance),
            elapsed_s=found.elapsed_s,
        )


def row_weights(labels: np.ndarray, used: np.ndarray, balanced: bool = False) -> np.ndarray:
    """Return how much the loss of each row counts in a fit to those that are used: (n,).

    If `balanced`, each class has the same weight: as with scikit-learn's
    ``class_weight="balanced"``, its n rows of N count ``N / (K n)`` each, where K
    classes have rows.
    """
    weights = used / penalty_factor(labels[used])
    if not balanced:
        return weights
    counts = np.bincount(labels[used], minlength=labels.max() + 1)
    return weights * used.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))[labels]


def penalty_factor(labels: np.ndarray) -> int:
    """Return how much larger scikit-learn's penalty of weights is than ours.

    Of two classes it has one row of weights, the difference of ours, whose squared length is twice
    that of our two together. So losses count half for us, and its objective is twice ours.
    """
    return 2 if len(np.unique(labels)) == 2 else 1


def in_coordinates(rows: Rows, tests: Sequence[np.ndarray]) -> tuple[Rows, np.ndarray]:
    """Return what to fit on, and in which order its rows lie.

    In memory they lie fold after fold, so that no pass has to touch the rows that a fit leaves out.
    """
    n, d = rows.shape
    fold = np.full(n, len(tests))
    for i, test in enumerate(tests):
        fold[test] = i
    order = np.argsort(fold, kind="stable")
    if row_space_is_cheaper(n, d, len(tests) * rows.n_classes):
        return in_row_space(rows, order), order
    if rows.X.dtype.itemsize * n * d <= COPY_BYTES:
        return reordered(rows, order), order
    return rows, np.arange(n)


def plain_model(C: float, classes: np.ndarray, last: Solution, rows: Rows) -> "LogisticRegression":
    """Return scikit-learn's own estimator for a solution by features."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=C)
    w = rows.scale * last.point.w[:, :-1]  # (K, d)
    b = last.point.w[:, -1] - w @ rows.centre
    if len(classes) == 2:
        w, b = w[1:] - w[:1], b[1:] - b[:1]
    model.coef_, model.intercept_, model.classes_ = w, b, classes
    model.n_features_in_ = w.shape[1]
    model.n_iter_ = np.array([last.n_iter], np.int32)
    return model


def require_two_classes(y: np.ndarray) -> None:
    """Refuse rows that are all of one class."""
    if len(classes := np.unique(y)) < 2:
        raise InputError(
            f"there is one class only ('{classes[0]}'): a classifier needs at least two"
        )
