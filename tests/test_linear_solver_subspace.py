"""The best combination of points and intercepts, beside scipy's minimisation."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from pyimagesearch.linear.solver.logloss import LogLoss
from pyimagesearch.linear.solver.rows import Rows
from pyimagesearch.linear.solver.subspace import Point, best_combination

N, D, K, C = 90, 6, 3, 4.0
LABELS = np.arange(N) % K
USED = np.arange(N) % 5 != 0
LOSS = LogLoss(LABELS, USED.astype(float), K)


@pytest.fixture
def points():
    """Two points whose weights have little to do with the labels."""
    random = np.random.default_rng(0)
    X = random.standard_normal((N, D)) + 0.5 * random.standard_normal((K, D))[LABELS]
    weights = [random.standard_normal((K, D + 1)) for _ in range(2)]
    return [Point(w, (X @ w[:, :-1].T + w[:, -1]).T) for w in weights]


def objective(w, scores):
    losses = logsumexp(scores, axis=0) - scores[LABELS, np.arange(N)]
    return C * losses[USED].sum() + np.square(w[:, :-1]).sum() / 2


def combined(points, **options):
    with ThreadPoolExecutor(2) as pool:
        rows = Rows(np.zeros((N, D)), K, pool, 2)
        return best_combination(rows, LOSS, points, C, np.float64, **options)


@pytest.mark.parametrize("last", [0.0, 1.0, 1000.0])
def test_no_other_factors_and_intercepts_are_better(points, last):
    def f(x):
        w = x[0] * points[0].w + x[1] * points[1].w
        return objective(w, x[0] * points[0].scores + x[1] * points[1].scores + x[2:, None])

    best = minimize(f, np.zeros(2 + K), method="BFGS", options={"gtol": 1e-7})
    found = combined(points, last=last)
    np.testing.assert_allclose(found.objective, best.fun, rtol=1e-10)
    np.testing.assert_allclose(objective(*found.point), found.objective, rtol=1e-12)
    odds = np.exp(found.point.scores)
    residuals = USED * odds / odds.sum(axis=0)
    residuals[LABELS, np.arange(N)] -= USED
    np.testing.assert_allclose(found.residuals, residuals, atol=1e-12)
    assert np.abs(residuals.sum(axis=1)).max() <= 1e-10 * np.abs(residuals).sum()


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_single_precision_leads_as_far_in_as_few_passes(scale, monkeypatch):
    random, labels = np.random.default_rng(2), np.arange(1500) % 30
    X = random.standard_normal((1500, 20)) + 2 * random.standard_normal((30, 20))[labels]
    weights = random.standard_normal((2, 30, 21))
    weights[1, :, :-1] = [X[labels == label].mean(axis=0) for label in range(30)]
    points = [Point(scale * w, scale * (w[:, :-1] @ X.T + w[:, -1:])) for w in weights]
    passes, summed = [], Rows.summed
    monkeypatch.setattr(
        Rows, "summed", lambda self, *of_what: passes.append(0) or summed(self, *of_what)
    )

    def found_in(dtype):
        passes.clear()
        loss = LogLoss(labels, np.ones(1500), 30)
        with ThreadPoolExecutor(2) as pool:
            rows = Rows(np.zeros((1500, 20)), 30, pool, 2)
            found = best_combination(rows, loss, points, 1e3, dtype, last=1.0)
        assert found.residuals.dtype == found.point.scores.dtype == dtype
        return found.objective, len(passes)

    (single, n_single), (double, n_double) = found_in(np.float32), found_in(np.float64)
    assert single <= 1.02 * double
    assert 0 < n_single <= n_double + 2
