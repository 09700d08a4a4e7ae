"""Newton's method on rows: its bound, its way, and where it begins."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import logsumexp

from pyimagesearch.linear.newton import SolutionPath
from pyimagesearch.linear.preconditioner import preconditioner
from pyimagesearch.linear.rows import centred, together

N_CLASSES = 4
C = 50.0


@pytest.fixture
def problem():
    """Rows of which every fifth lies in another class too, with their labels."""
    random = np.random.default_rng(0)
    X, labels = random.standard_normal((80, 12)), np.arange(80) % N_CLASSES
    X[::5] = X[1::5]
    with ThreadPoolExecutor(2) as pool:
        yield centred(X, N_CLASSES, pool, 2), labels


def path_of(rows, labels, **options):
    return SolutionPath(rows, labels, np.ones(len(labels), bool), **options)


def objective(rows, labels, w):
    scores = rows.pick(np.arange(len(labels)), np.float64) @ w
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(labels)), labels]
    return C * losses.sum() + np.square(w[:-1]).sum() / 2


def test_the_bound_is_that_of_the_weights_as_they_are(problem):
    rows, labels = problem
    (best,) = together(rows, [path_of(rows, labels).solve(C, 1e-12)])
    w = np.random.default_rng(1).standard_normal((13, N_CLASSES))
    (found,) = together(rows, [path_of(rows, labels).bound(C, w.copy())])
    np.testing.assert_array_equal(found.point.w[:-1], w[:-1])
    assert found.objective < objective(rows, labels, w)  # the intercepts are better
    np.testing.assert_allclose(found.objective, objective(rows, labels, found.point.w), rtol=1e-12)
    assert found.objective * (1 - found.gap) <= best.objective < found.objective


def test_the_objective_falls_with_every_step(problem):
    rows, labels = problem
    path, seen = path_of(rows, labels), []
    gradient = path._gradient

    def recording(point, strength):
        seen.append(objective(rows, labels, point.w))
        return (yield from gradient(point, strength))

    path._gradient = recording
    (found,) = together(rows, [path.solve(C, 1e-10)])
    assert found.gap <= 1e-10
    assert len(seen) == found.n_iter + 1 > 3
    assert (np.diff(seen) <= 1e-13 * seen[0]).all()


def test_a_fit_begins_at_the_best_combination_of_given_weights(problem):
    rows, labels = problem
    (best,) = together(rows, [path_of(rows, labels).solve(C, 1e-10)])
    useless = np.random.default_rng(1).standard_normal((13, N_CLASSES))
    begin = [best.point.w + useless, best.point.w + 3 * useless]
    (found,) = together(rows, [path_of(rows, labels, begin=begin, max_iter=0).solve(C, 1e-6)])
    np.testing.assert_allclose(found.objective, best.objective, rtol=1e-6)


@pytest.mark.parametrize("double", [False, True])
def test_with_all_rows_the_preconditioner_inverts_the_hessian_of_two_classes(problem, double):
    rows, labels = problem
    labels = labels % 2
    rows.n_classes = 2
    every = np.ones(80, bool)
    p = np.random.default_rng(2).random((80, 1))
    wrong = np.where(labels[:, None] == [0, 1], 0, p).astype(np.float64 if double else np.float32)
    apply = preconditioner(rows, labels, every, wrong, 1.0, support=80)
    X = rows.pick(np.arange(80), np.float64)
    hessian = np.eye(13) + X.T @ (p * (1 - p) * X)
    v = np.random.default_rng(3).standard_normal(13)
    v = np.column_stack([v, -v])  # scores that are shifted together change nothing
    found = apply((hessian @ v).astype(wrong.dtype))
    np.testing.assert_allclose(found, v, atol=1e-9 if double else 1e-4)
