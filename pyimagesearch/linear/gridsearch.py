"""The grid search over C of scikit-learn's logistic regression: the same optima, found faster."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pyimagesearch.linear.newton import MAX_ITER, Solution, SolutionPath
from pyimagesearch.linear.rows import COPY_BYTES, Rows, centred, copied, together
from pyimagesearch.linear.rowspace import by_features, factored, pays
from pyimagesearch.utils import InputError

C_GRID = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
# Gaps, as parts of the objective. At 1e-2, 31 of 39,042 predictions for the folds of pooled
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
        Of the fold left out.
    objective : float
        C times the sum of the log losses, and half the squared weights, as scikit-learn has it.
    gap : float
        Proven bound on how far above its minimum the objective is, as a part of it.
    n_iter : int
        Newton steps taken.
    converged : bool
        Whether the gap is within the tolerance.
    elapsed_s : float
        Seconds it took, beside the other folds at this C.
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
        That of the best mean accuracy, the first of several.
    fits : list of Fit
        The folds at the first C, at the second and so on; then the last fit, to all rows.
    model : LogisticRegression
        scikit-learn's own, as that last fit left it. ``coef_`` is float64, (1, d) for two classes,
        else (K, d).
    """

    grid: tuple[float, ...]
    best_C: float  # noqa: N815 - C is scikit-learn's name
    fits: list[Fit]
    model: LogisticRegression


def grid_search(
    X: np.ndarray,
    y: np.ndarray,
    grid: Sequence[float],
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
    n_jobs: int = 1,
    tolerance: float = TOLERANCE,
    max_iter: int = MAX_ITER,
    advance: Callable[[], object] = lambda: None,
) -> GridSearch:
    """Fit every fold at every C, then all rows at the C of the best mean accuracy.

    Candidates, scores and choice are those of ``GridSearchCV(LogisticRegression(), {"C": grid},
    cv=folds)``, with every fit run to a proven distance from its minimum.

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
        How many cores to use, by threads that share the data. The result does not depend on it, but
        for rounding.
    tolerance : float
        The proven gap at which a fit has converged. That of the last fit is `LAST_TOLERANCE`, if
        that is less.
    max_iter : int
        The most Newton steps of one fit.
    advance : callable
        Called without arguments after each fit.

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

    with ThreadPoolExecutor(n_jobs) as pool, threadpool_limits(1):  # a thread of ours for each core
        rows = centred(X, len(classes), pool, n_jobs)
        space, order = in_coordinates(rows, [test for _, test in folds])
        scale = rows.scale**2 * (2 if len(classes) == 2 else 1)  # of the objective: see plain_model
        y = labels[order]

        def recorded(C: float, found: Solution, fold: int | None = None) -> Fit:
            advance()
            f, gap, accuracy = scale * found.objective, min(found.gap, 1.0), None
            if fold is not None:
                right = found.point.scores.argmax(axis=0) == y
                accuracy = float(right[tests[fold]].mean())
            converged = bool(gap <= (last_tolerance if fold is None else tolerance))
            return Fit(C, fold, accuracy, f, gap, found.n_iter, converged, found.elapsed_s)

        paths = [SolutionPath(space, y, np.isin(order, train), max_iter) for train, _ in folds]
        tests = [np.isin(order, test) for _, test in folds]
        fits, weights = {}, {}
        for C in sorted(grid):
            found = together(space, [path.solve(C / scale, tolerance) for path in paths])
            fits[C] = [recorded(C, solution, fold) for fold, solution in enumerate(found)]
            weights[C] = np.mean([solution.point.w for solution in found], axis=0)
        best_C = max(grid, key=lambda C: np.mean([fit.accuracy for fit in fits[C]]))
        every = np.ones(len(y), bool)
        path = SolutionPath(space, y, every, max_iter, weights[best_C])
        (last,) = together(space, [path.solve(best_C / scale, last_tolerance)])
        if last.gap > last_tolerance:  # what the folds found has led astray: go the way they went
            path = SolutionPath(space, y, every, max_iter)
            for C in sorted(C for C in grid if best_C >= C):
                (again,) = together(space, [path.solve(C / scale, last_tolerance)])
            last = min(last, again, key=lambda solution: solution.gap)
        if space is not rows:  # found in row space, or on rounded copies: prove it on the features
            w = by_features(last.point.w, space, rows, order) if space.lower else last.point.w
            (proven,) = together(rows, [SolutionPath(rows, labels, every).bound(best_C / scale, w)])
            last = proven._replace(n_iter=last.n_iter, elapsed_s=last.elapsed_s)
    fits = [*(fit for C in grid for fit in fits[C]), recorded(best_C, last)]
    return GridSearch(grid, best_C, fits, plain_model(best_C, classes, last, rows))


def in_coordinates(rows: Rows, tests: Sequence[np.ndarray]) -> tuple[Rows, np.ndarray]:
    """Return what to fit on, and in which order its rows lie.

    In memory they lie fold after fold, so that no pass has to touch the rows that a fit leaves out.
    """
    n, d = rows.shape
    fold = np.full(n, len(tests))
    for i, test in enumerate(tests):
        fold[test] = i
    order = np.argsort(fold, kind="stable")
    if pays(n, d, len(tests) * rows.n_classes):
        return factored(rows, order), order
    if rows.X.dtype.itemsize * n * d <= COPY_BYTES:
        return copied(rows, order), order
    return rows, np.arange(n)


def plain_model(C: float, classes: np.ndarray, last: Solution, rows: Rows) -> LogisticRegression:
    """Return scikit-learn's own estimator for a solution by features.

    Of two classes it has one row of weights, the difference of ours, whose squared length is twice
    that of our two together: hence the factor of 2 in the scale of the objective.
    """
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
