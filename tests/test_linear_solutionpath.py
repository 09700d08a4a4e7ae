"""The path of solutions, the ways to solve its steps, and the precision of the products."""

import numpy as np
import pytest

from pyimagesearch.linear import newton
from pyimagesearch.linear.logloss import LogLoss
from pyimagesearch.linear.newton import NewtonSolver
from pyimagesearch.linear.products import RowProducts
from pyimagesearch.linear.solutionpath import SolutionPath
from pyimagesearch.linear.spaces import FeatureSpace, Rotation, RowSpace

N_ROWS, N_FEATURES, N_CLASSES = 60, 200, 3
ALL = np.arange(N_ROWS)
LABELS = ALL % N_CLASSES


def draw_rows(mean: float = 0.0, spread: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(0)
    rows = (
        random.standard_normal((N_ROWS, N_FEATURES))
        + random.standard_normal((N_CLASSES, N_FEATURES))[LABELS]
    )
    return (mean + spread * rows).astype(np.float32)


def row_path(X: np.ndarray, single: bool, **options) -> tuple[SolutionPath, RowProducts]:
    products = RowProducts(X, single=single)
    path = SolutionPath(RowSpace(X, products, ALL), LABELS, N_CLASSES, [0.1, 100.0], **options)
    return path, products


def pairs() -> np.ndarray:
    """Rows two by two, which differ by little and are of different classes."""
    X = draw_rows()
    X[1::2] = X[::2] + X[1::2] / 30
    return X


@pytest.mark.parametrize(
    ("X", "stays"),
    [
        pytest.param(draw_rows(), True, id="different rows"),
        pytest.param(pairs(), False, id="pairs"),
    ],
)
def test_single_precision_gives_way_where_it_is_not_exact_enough(X, stays):
    single, products = row_path(X, single=True)
    double, _ = row_path(X, single=False)
    for C in (0.1, 100.0):
        found, expected = single.solve(C), double.solve(C)
        np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-4)
    assert products.single == stays


def test_a_wrong_score_is_a_deviation():
    X = draw_rows()
    products = RowProducts(X, single=True)
    V = np.random.default_rng(1).standard_normal((N_ROWS, 1))
    V -= V.mean(axis=0)
    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    exact = centred @ (centred.T @ V)
    assert products.deviation(ALL, V, exact + 7) < 1e-3  # a constant has no effect
    exact[0] += 0.5  # the first row is one of the samples
    assert products.deviation(ALL, V, exact) > 0.4


def newton_step(space, accuracy: float, by_rows: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the step at scores of 0: its scores, and the change of the intercepts."""
    loss = LogLoss(LABELS, N_CLASSES)
    loss.settle(np.zeros((N_ROWS, N_CLASSES)))
    rest = -space.combine(loss.residuals)
    solver = NewtonSolver(space, loss)
    _, scores, intercepts = solver.step(1.0, (rest, space.scores(rest)), accuracy, by_rows)
    return scores, intercepts


@pytest.mark.parametrize("by_rows", [False, True])
def test_all_ways_to_solve_a_step_agree(by_rows, monkeypatch):
    monkeypatch.setattr(newton, "PATIENCE", 60)
    X = draw_rows()
    scores, intercepts = newton_step(FeatureSpace(Rotation(X).rows, ALL), 0.0, by_rows=False)
    space = RowSpace(X, RowProducts(X, single=False), ALL)
    found_scores, found_intercepts = newton_step(space, 1e-9, by_rows)
    np.testing.assert_allclose(found_scores, scores, atol=1e-6 * np.abs(scores).max())
    np.testing.assert_allclose(found_intercepts, intercepts, atol=1e-6)


@pytest.mark.parametrize("length", [0.0, 1e-6, 1e6])
def test_a_start_makes_no_difference_however_far_it_is(length):
    X = draw_rows()
    start = length * np.random.default_rng(2).standard_normal((N_ROWS, N_CLASSES))
    plain, started = row_path(X, False)[0], row_path(X, False, start=(start, np.zeros(3)))[0]
    for C in (0.1, 100.0):
        found, expected = started.solve(C), plain.solve(C)
        assert found.converged
        np.testing.assert_allclose(found.objective, expected.objective, rtol=2e-6)


def test_a_rotation_keeps_distances_and_drops_what_is_the_same_in_all_rows():
    X = draw_rows(mean=5.0)
    X[:, :10] = 3
    X[30:] = X[:30]  # every row twice
    rotation = Rotation(X)
    assert rotation.rows.shape == (N_ROWS, 29)  # of 30 different rows, less their mean
    centred = X - X.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(rotation.rows @ rotation.rows.T, centred @ centred.T, atol=1e-9)
    w, shift = rotation.model(np.ones((1, 29)))
    np.testing.assert_allclose(X @ w.T + shift, rotation.rows.sum(axis=1)[:, None], atol=1e-6)
